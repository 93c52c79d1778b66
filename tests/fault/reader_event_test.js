/*
 * Visitors of both doors come and go while workers, keepers and a reader of the
 * journal (tests/kinds/ledger.c) are killed, stopped and upgraded: the reader is
 * told of each connection's begin and end once, of each user's first and last
 * one, and of each channel that somebody comes into or the last one leaves.
 * LONG=1 takes longer.
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/kinds/sbin/chatd');
const assert = require('node:assert/strict');
const WebSocket = require('ws');
const {group} = require('../system/suite.js');
const {one, pause, reading, until} = require('./ledger.js');

const VISITORS = 8, USERS = 3, ROOMS = 3;
const STORM_S = LONG ? 300 : 12;
const WAIT_MS = 20000;
const HIT_MS = 600;       /* 20 deaths in 10 s would be too many */

/* One who comes, stays a moment in a room, and goes, again and again. */
class Visitor {
	constructor(d, n, tally) {
		Object.assign(this, {d, n, tally, failed: null, going: true});
		this.done = this.run().catch((error) => this.failed = error);
	}

	async run() {
		for (let k = this.n; this.going; k++)
			await this.visit(`v${k % USERS}`, k % 2 === 0,
			    `room${k % ROOMS}`);
	}

	/* A message of a kind, or the end of the connection: false. */
	hears(ws, is) {
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => reject(new Error(
			    `visitor ${this.n} waits for ${is}`)), WAIT_MS);
			const end = (value) => {
				clearTimeout(timer);
				ws.off('message', hear).off('close', gone);
				resolve(value);
			};
			const hear = (data) => is(data.toString()) && end(true);
			const gone = () => end(false);
			ws.on('message', hear).on('close', gone);
		});
	}

	async visit(user, plain, room) {
		const target = plain ? '/ws' : '/connection/websocket';
		const ws = new WebSocket(`ws://127.0.0.1:${this.d.port}${target}` +
		    `?user=${user}`, {perMessageDeflate: false,
			handshakeTimeout: WAIT_MS});
		const open = await new Promise((resolve) => {
			ws.on('error', () => {}); /* a worker died before 101 */
			ws.once('open', () => resolve(true));
			ws.once('close', () => resolve(false));
		});
		if (!open)
			return;
		if (plain) {
			this.tally.came(user);
			ws.send(`/join ${room}`);
			assert.ok(await this.hears(ws, (t) => /^\* joined/.test(t)),
			    'closed while joining');
		} else {
			ws.send('{"id":1,"connect":{}}');
			assert.ok(await this.hears(ws, (t) => /"id":1,"connect"/
			    .test(t)), 'closed while connecting');
			this.tally.came(user);
			ws.send(`{"id":2,"subscribe":{"channel":"${room}"}}`);
			assert.ok(await this.hears(ws, (t) => /"id":2,"subscribe"/
			    .test(t)), 'closed while subscribing');
		}
		await pause(Math.random() * 100);
		const gone = new Promise((resolve) => ws.once('close', resolve));
		if (Math.random() < 0.5)
			ws.close(1000);
		else
			ws.terminate();
		await gone;
	}
}

/* How many connections of each user there were. */
class Tally {
	constructor() {
		this.of = new Map();
	}

	came(user) {
		this.of.set(user, (this.of.get(user) ?? 0) + 1);
	}
}

/* Hits one process; returns of which kind. */
async function hit(d) {
	const all = (await d.json('show', 'processes')).filter((p) => p.pid &&
	    (p.state ?? 'running') === 'running');
	const dice = Math.random();
	if (dice < 0.1)
		return (await d.ctl('upgrade')).status === 0 ? 'upgrade' : null;
	if (dice < 0.2)
		return (await d.ctl('restart-worker', String(one([0, 1]))))
		    .status === 0 ? 'restart' : null;
	const kind = one(['worker', 'worker', 'worker', 'keeper', 'ledger']);
	const p = one(all.filter((q) => q.kind === kind));
	if (!p)
		return null;
	try {
		process.kill(p.pid, dice < 0.3 && kind === 'worker' ?
		    'SIGSTOP' : 'SIGKILL');
	} catch (error) { /* the watchdog was sooner */
		assert.equal(error.code, 'ESRCH');
		return null;
	}
	return kind;
}

/* All that was told, in its order: nothing twice, nothing left open. */
function judge(events, tally) {
	const held = new Map(), live = new Map(), came = new Tally();
	for (const e of events) {
		const begins = ['online', 'occupied', 'connect'].includes(e.what);
		const at = `${e.what} ${e.channel} ${e.sender} at ${e.position}`;
		switch (e.what) {
		case 'online':
		case 'occupied':
		case 'offline':
		case 'vacated':
			assert.equal(held.get(e.channel) ?? false, !begins, at);
			assert.equal(e.mask !== 0n, begins, at);
			held.set(e.channel, begins);
			break;
		case 'connect':
			assert.ok(!live.has(e.sender), at);
			assert.ok(held.get(`#${e.user}`), at);
			live.set(e.sender, true);
			came.came(e.user);
			break;
		case 'disconnect':
			assert.equal(live.get(e.sender), true, at);
			assert.ok(held.get(`#${e.user}`), at);
			live.set(e.sender, false);
			break;
		}
	}
	for (const [channel, is] of held)
		assert.equal(is, false, channel);
	for (const [sender, is] of live)
		assert.equal(is, false, sender);
	assert.deepEqual([...came.of].sort(), [...tally.of].sort());
}

group('events', null, (test) => {
	test(`are told once each, in a storm of ${STORM_S} s`, () => reading(
	    async (d, book) => {
		const tally = new Tally(), hits = {};
		const visitors = Array.from({length: VISITORS}, (_, n) =>
		    new Visitor(d, n, tally));
		const end = performance.now() + STORM_S * 1000;
		while (performance.now() < end) {
			await pause(HIT_MS);
			const what = await hit(d);
			hits[what] = (hits[what] ?? 0) + 1;
		}
		for (const v of visitors)
			v.going = false;
		await Promise.all(visitors.map((v) => v.done));
		for (const v of visitors)
			assert.equal(v.failed, null, v.failed?.stack);
		await until('all have gone', async () =>
		    (await d.json('show', 'connections')).length === 0, WAIT_MS);
		await book.whole(d);
		assert.equal(book.of('hole').length, 0);
		const events = book.events();
		console.log(`     ${JSON.stringify(hits)}, ` +
		    `${events.length} events`);
		assert.ok(events.length > 100);
		judge(events, tally);
		await d.clean();
	}, {conf: 'watchdog 500ms\njournal 64M\n'}),
	{limit: STORM_S * 1000 + 120000});
});
