/*
 * A client of the SDK has channels from the server that a reader of the journal
 * has to open: its own, and its token's. It connects at once, learns where they
 * stand when the reader says it, and goes on there over reconnections, deaths
 * of workers, and the next daemon.
 */
'use strict';

const path = require('node:path');
const {BUILD} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/kinds/sbin/chatd');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Line, SECRET, event, now, sdk, token} =
    require('../system/centrifugo.js');
const {patience} = require('../system/daemon.js');
const {Book, reading, until} = require('./ledger.js');
const {follows} = require('./kill_points.js');

const NAME = 'told-anna', OWN = `#${NAME}`, ROOM = 'told-room';
const KEYS = `token-key "${SECRET}"
api-key "a key"
`;

/* A client of that user, with the channels of its token; what it has heard of
 * each channel. */
function anna(d, channels = [ROOM]) {
	const c = sdk(d, '', {token: token({sub: NAME, channels,
	    exp: now() + 600})});
	c.heard = [];
	c.known = [];
	c.gone = [];
	c.on('publication', (p) => c.heard.push(`${p.channel} ${p.offset} ` +
	    JSON.stringify(p.data)));
	c.on('subscribed', (s) => c.known.push(s));
	c.on('unsubscribed', (s) => c.gone.push(s.channel));
	return c;
}

/* Says something there; its offset. */
async function say(d, channel, data) {
	const r = await fetch(`http://127.0.0.1:${d.port}/api/publish`, {
		method: 'POST', headers: {'X-API-Key': 'a key'},
		body: JSON.stringify({channel, data})});
	const answer = await r.json();
	assert.ok(answer.result, JSON.stringify(answer));
	return answer.result.offset;
}

/* All workers die, one after another. */
async function workersDie(d) {
	for (const w of await d.json('show', 'workers'))
		if (w.role === 'worker') {
			process.kill(w.pid, 'SIGKILL');
			await follows(d, 'worker', w.pid, w.slot);
		}
}

group('channels that open behind a connect', null, (test) => {
	test('a client learns where they stand, once', () => reading(
	    async (d, book) => {
		book.mood('shut');
		const c = anna(d);
		await event(c, 'connected');
		await assert.rejects(event(c, 'subscribed', 500));
		await workersDie(d);
		assert.deepEqual(c.known, []);
		book.calm();
		await until('both are open', () => c.known.length === 2);
		for (const s of c.known) {
			assert.equal(s.recoverable, true);
			assert.equal(s.positioned, true);
			assert.match(s.streamPosition.epoch,
			    /^[0-9a-f]{8,16}$/);
			assert.equal(s.streamPosition.offset, 0);
		}
		assert.equal(await say(d, OWN, 1), 1);
		assert.equal(await say(d, ROOM, 2), 1);
		await until('both are heard', () => c.heard.length === 2);
		assert.deepEqual(c.heard.sort(), [`${OWN} 1 1`,
		    `${ROOM} 1 2`].sort());
		await workersDie(d);
		await say(d, OWN, 3);
		await until('it goes on', () => c.heard.length === 3);
		assert.equal(c.known.length, 2);
		await book.whole(d);
	}, {conf: KEYS}), {limit: 60000});

	test('it goes on in them beside the next daemon', async () => {
		const book = new Book();
		let c;
		await reading(async (d) => {
			c = anna(d);
			await until('both are open', () => c.known.length === 2);
			await say(d, OWN, 'a');
			await say(d, ROOM, 'b');
			await until('both are heard', () => c.heard.length === 2);
			await book.whole(d);
		}, {conf: KEYS, book, keep: true});
		await reading(async (d) => {
			/* the same positions, as the SDK sends them */
			const subs = (channel, offset) => ({[channel]: {
				recover: true, offset, epoch: c.known.find((s) =>
				    s.channel === channel).streamPosition.epoch}});
			const l = await Line.open(d, '');
			await say(d, OWN, 'c');
			const r = await l.ask('connect', {
				token: token({sub: NAME, channels: [ROOM]}),
				subs: {...subs(OWN, 1), ...subs(ROOM, 1)}});
			assert.equal(r.connect.subs[OWN].recovered, true);
			assert.deepEqual(r.connect.subs[OWN].publications.map(
			    (p) => p.data), ['c']);
			assert.equal(r.connect.subs[ROOM].recovered, true);
			/* what was never said cannot be gone on from */
			const m = await Line.open(d, '');
			const s = await m.ask('connect', {
				token: token({sub: NAME}), subs: subs(OWN, 7)});
			assert.notEqual(s.connect.subs[OWN].recovered, true);
			assert.equal(s.connect.subs[OWN].was_recovering, true);
		}, {conf: KEYS, book});
	}, {limit: 60000});

	test('who wants to go on waits, and is told if in vain', () => reading(
	    async (d, book) => {
		book.mood('shut');
		const l = await Line.open(d, '');
		const begin = performance.now();
		const r = await l.ask('connect', {
			token: token({sub: NAME, channels: [ROOM]}),
			subs: {[ROOM]: {recover: true, offset: 1,
			    epoch: '00000001'}}});
		const ms = performance.now() - begin;
		assert.ok(ms > 2500 && ms < 4500 * patience(), `${ms} ms`);
		assert.deepEqual(r.connect.subs,
		    {[ROOM]: {was_recovering: true}});
		book.calm();
		const told = {};
		for (let k = 0; k < 2; k++) {
			const push = await l.push();
			assert.ok(push.subscribe, JSON.stringify(push));
			told[push.channel] = push.subscribe;
		}
		assert.deepEqual(Object.keys(told).sort(),
		    [OWN, ROOM].sort());
		assert.equal(told[ROOM].positioned, true);
		await say(d, ROOM, 5);
		assert.equal((await l.push()).pub.data, 5);
	}, {conf: KEYS}), {limit: 60000});
});
