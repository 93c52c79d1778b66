/* The store dies in the midst of an erasure, with the lock held: who asked is
 * told, others go on, and asked once more it erases the rest. */
'use strict';

const path = require('node:path');
const {BUILD} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/chatd');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {until} = require('../system/daemon.js');
const {Line} = require('../system/centrifugo.js');
const {List, follows, row} = require('./kill_points.js');
const {storing} = require('./archive.js');

const LINE = 64; /* the store's, hub/line.h */
const SAID = 100; /* of each; 64 are erased in one hold of the lock */
const CHANNEL = 'told';

/* Somebody says so many things. */
async function say(l, n) {
	for (let k = 0; k < n; k++)
		assert.ok((await l.ask('publish',
		    {channel: CHANNEL, data: k})).publish);
}

/* Whose messages the history has, by name. */
async function count(l) {
	const {history} = await l.ask('history',
	    {channel: CHANNEL, limit: 1000});
	const n = {};
	for (const {info} of history.publications)
		n[info.user] = (n[info.user] ?? 0) + 1;
	return n;
}

/* Erases until it is done; returns how often it was asked. */
async function erase(d, user) {
	for (let n = 1;; n++) {
		const r = await d.ctl('erase', user);
		if (r.status === 0)
			return n;
		assert.match(r.stderr, /ended; try again|no database is written/);
		await follows(d, 'store');
	}
}

group('erase killed', null, (test) => {
	test('in the journal', async () => {
		const list = new List();
		try {
			await storing(async (d, archive) => {
				const bob = await Line.connected(d, '?user=bob');
				await bob.ask('subscribe', {channel: CHANNEL});
				await say(bob, 1);
				await say(await Line.connected(d, '?user=probe'), 1);
				assert.equal(await erase(d, 'probe'), 1);
				const points = [...list.passes(/^hub\/journal_erase/)
				    .keys()];
				assert.equal(points.length, 1);
				let others = 1;
				for (const nth of [1, 2, 64, 65, SAID]) {
					const user = `user${nth}`;
					const l = await Line.connected(d,
					    `?user=${user}`);
					await say(l, SAID);
					const {pid} = await row(d, 'store');
					await archive.whole(d);
					list.arm(parseInt(points[0], 10), nth, LINE);
					const asked = erase(d, user);
					await until('it dies', async () =>
					    (await row(d, 'store'))?.pid !== pid);
					await say(bob, 10);
					others += 10;
					assert.ok(await asked > 1);
					assert.deepEqual(await count(bob),
					    {bob: others});
					await l.client.close();
				}
				await archive.whole(d);
				assert.equal(archive.value('SELECT count(*) FROM ' +
				    'publication WHERE erased'), 1 + 5 * SAID);
				assert.equal(archive.judge(CHANNEL)
				    .filter((m) => m.user === 'bob').length, others);
			}, {env: {CHATD_KILL_LIST: list.path}});
		} finally {
			list.remove();
		}
	}, {limit: 120000});
});
