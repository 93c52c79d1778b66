/*
 * From the chatd of an earlier commit (CHATD) to the one that is built (NEXT),
 * under clients of all doors that chat: ../upgrade_from.sh.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const {group} = require('./suite.js');
const {Daemon, ROOT, processLives, until} = require('./daemon.js');
const {TELL, event, sdk, sdkLeave, subscribed} = require('./centrifugo.js');
const {Crowd} = require('../fault/crowd.js');
const {Guests} = require('../fault/guests.js');

const NEXT = path.resolve(process.env.NEXT ?? path.join(ROOT, 'build/chatd'));
const PEOPLE = 60, SPEAKERS = 12, GUESTS = 500, SDKS = 4;
const KEPT = `${TELL}channel "kept" {
	subscribe all
	publish all
	history 100
	recovery yes
}
`;

/* Clients of the Centrifugo door, each of which notes that it was cut off. */
async function subscribers(d, lost) {
	const subs = [];
	for (let i = 0; i < SDKS; i++) {
		const c = sdk(d, `?user=sdk${i}`);
		await c.ready(5000);
		for (const name of ['disconnected', 'connecting'])
			c.on(name, (why) => lost.push(why));
		subs.push(await subscribed(c, 'tell'));
	}
	return subs;
}

/* How many descriptors the master of another program has at rest. */
async function descriptorsOf(program) {
	const d = await Daemon.start({program, workers: 4, conf: KEPT});
	await d.stop();
	return d.descriptors;
}

/* A client that has heard the first of two publications in "kept", and who
 * publishes there. */
async function away(d) {
	const reader = sdk(d, '?user=away'), writer = sdk(d, '?user=writer');
	const to = await subscribed(writer, 'kept');
	const s = await subscribed(reader, 'kept');
	const context = s.context;
	await to.publish(1);
	await until('the first is heard', () => s.heard.length === 1);
	reader.disconnect();
	await to.publish(2);
	return {reader, to, s, context};
}

/* It comes back, and nothing is missing of what was said before the upgrade and
 * after it. */
async function back({reader, to, s, context}) {
	await to.publish(3);
	const again = event(s, 'subscribed');
	reader.connect();
	const now = await again;
	assert.deepEqual([now.wasRecovering, now.recovered], [true, true]);
	assert.equal(now.streamPosition.epoch, context.streamPosition.epoch);
	await to.publish(4);
	await until('all is heard', () => s.heard.length === 4);
	s.heard.forEach((p, k) =>
	    assert.deepEqual([p.offset, p.data], [k + 1, k + 1]));
	const {publications, offset} = await s.history({limit: 100,
	    since: {offset: 0, epoch: now.streamPosition.epoch}});
	assert.deepEqual([offset, publications.map((p) => p.data)],
	    [4, [1, 2, 3, 4]]);
}

group('from another commit', {workers: 4, conf: KEPT}, (test) => {
	test('nobody is disconnected, nothing is lost', async (d) => {
		const lost = [];
		const guests = await Guests.come(d, GUESTS);
		const crowd = await Crowd.unbroken(d, PEOPLE);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		const subs = await subscribers(d, lost);
		await subs[0].publish({n: 0});
		const kept = await away(d);
		const before = await d.ask('show', 'workers');
		const r = await d.ctl('upgrade', NEXT);
		assert.deepEqual([r.status, r.stderr], [0, ''],
		    d.stderr.slice(-3000));
		assert.equal(fs.readlinkSync(`/proc/${d.pid}/exe`), NEXT);
		await until('the old ones have left', () => before.every((w) =>
		    !processLives(w.pid) && !processLives(w.keeper)), 20000);
		await subs[1].publish({n: 1});
		await back(kept);
		await guests.served();
		await d.adoptedAll(4);
		await crowd.judgeAll();
		await until('all is heard', () => subs.every((s) =>
		    s.heard.length === 2));
		for (const s of subs)
			s.heard.forEach((p, k) => assert.deepEqual(
			    [p.offset, p.data.n], [k + 1, k]));
		assert.deepEqual(lost, []);
		guests.whole();
		guests.leave();
		sdkLeave();
		await until('the others have left', async () => (await d.ask('show',
		    'users')).length === PEOPLE);
		await crowd.presence();
		await crowd.joinAll(['late1', 'late2']);
		await crowd.leave();
		d.descriptors = await descriptorsOf(NEXT);
	}, {limit: 120000});
});
