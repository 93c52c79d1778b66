/*
 * Writers of both doors publish to channels that a reader of the journal has to
 * do with (tests/kinds/ledger.c) while the reader, or a worker, dies at each kill
 * point that it passes, or hangs there, and while all processes are hit at once
 * and upgraded: each command is answered once, and what was accepted is in the
 * reader's book once and in order. LONG=1 takes longer.
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/kinds/sbin/chatd');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Line} = require('../system/centrifugo.js');
const {Choir, one, pause, reading, until} = require('./ledger.js');
const {List, die} = require('./kill_points.js');
const {invariant} = require('./guests.js');

const LINE = 64;                  /* the reader's, hub/line.h */
const WRITERS = 6;
const READER = new RegExp('^(tests/kinds/(ledger|book)|' +
    'process/(child|reader_child)|hub/(reader|journal|spill|lock|presence))');
const WORKER = new RegExp('^(conn/(hold|reader|input|answer)|' +
    'room/(publish|opening|kept|channel|event|deliver|user)|' +
    'hub/(publisher|journal|reader|spill|presence|mask))');
const SHARE = {reader: LONG ? 1 : 7, worker: LONG ? 1 : 8}; /* of the points */
const STORM_S = LONG ? 600 : 4;

/* A daemon with a reader, and writers that talk. */
async function talking(body, conf = '') {
	const list = new List();
	const talk = async (d, book) => {
		const choir = await Choir.open(d, WRITERS);
		choir.begin();
		await until('commands are done', () => choir.count() > 50);
		await body(d, choir, list, book);
		book.calm();
		await choir.end();
		for (const m of choir.all('refused'))
			assert.match(m.channel, /^(kept|acked|strict)/, m.data);
		await choir.judge(book, {holes: true});
		console.log(`     ${choir.count()} done, ` +
		    `${choir.all('refused').length} refused, ` +
		    `${choir.all('unknown').length} unknown`);
		await invariant(d);
		choir.leave();
		await d.clean();
	};
	try {
		await reading(talk, {conf, env: {CHATD_KILL_LIST: list.path}});
	} finally {
		list.remove();
	}
}

/* Publishes to one new channel after the other, which the reader opens, until
 * told to stop; returns how many. */
async function opening(d, state) {
	const l = await Line.connected(d, '?user=opener');
	let n = 0;
	for (; !state.stop; n++) {
		const r = await l.ask('publish',
		    {channel: `kept-${n}`, data: n});
		assert.ok(r.publish, `kept-${n}: ${JSON.stringify(r)}`);
		await pause(1); /* the processors are for the others, too */
	}
	l.client.drop();
	return n;
}

group('killed beside a reader', null, (test) => {
	test('the reader, at each of its kill points', () => talking(
	    async (d, choir, list) => {
		const points = [...list.passes(READER).keys()]
		    .filter((_, k) => k % SHARE.reader === 0);
		const state = {stop: false}, opened = opening(d, state);
		opened.catch(() => {}); /* awaited below */
		const n = await die(d, list, points, 'ledger', LINE, 'SIGKILL');
		state.stop = true;
		console.log(`     ${n} deaths at ${points.length} points, ` +
		    `${await opened} channels opened`);
		assert.ok(n >= (LONG ? 20 : 2), `${n} deaths`);
		assert.deepEqual(choir.all('unknown'), []);
	}), {limit: 300000});

	test('a worker, at its kill points', () => talking(
	    async (d, choir, list) => {
		const points = [...list.passes(WORKER).keys()]
		    .filter((_, k) => k % SHARE.worker === 0);
		const n = await die(d, list, points, 'worker', 0, 'SIGKILL');
		console.log(`     ${n} deaths at ${points.length} points`);
		assert.ok(n >= (LONG ? 5 : 1), `${n} deaths`);
		assert.deepEqual(choir.all('unknown'), []);
	}), {limit: LONG ? 900000 : 300000});

	test('the reader hangs with the lock', () => talking(
	    async (d, choir, list) => {
		const points = [...list.passes(/^hub\/journal/).keys()]
		    .slice(0, LONG ? 20 : 1);
		const n = await die(d, list, points, 'ledger', LINE, 'SIGSTOP');
		assert.ok(n >= 1, `${n} deaths`);
	}, 'watchdog 500ms\n'), {limit: LONG ? 600000 : 120000});

	test(`a storm of ${STORM_S} s`, () => talking(
	    async (d, choir, list, book) => storm(d, choir, book),
	    'watchdog 500ms\n'), {limit: STORM_S * 1000 + 240000});
});

/* Hits at random, not more than the master takes for many. */
async function storm(d, choir, book) {
	const end = performance.now() + STORM_S * 1000;
	const hits = {worker: 0, keeper: 0, ledger: 0, stopped: 0, upgrade: 0,
		restart: 0, mood: 0, come: 0};
	while (performance.now() < end) {
		const all = (await d.json('show', 'processes'))
		    .filter((p) => p.pid);
		const dice = Math.random();
		if (dice < 0.6) {
			const kind = one(['worker', 'worker', 'keeper', 'ledger']);
			const p = one(all.filter((q) => q.kind === kind &&
			    (q.state ?? 'running') === 'running'));
			if (p) {
				process.kill(p.pid, 'SIGKILL');
				hits[kind]++;
			}
		} else if (dice < 0.7) {
			const p = one(all.filter((q) => q.kind === 'worker'));
			process.kill(p.pid, 'SIGSTOP');
			hits.stopped++;
		} else if (dice < 0.75) {
			if ((await d.ctl('upgrade')).status === 0)
				hits.upgrade++;
		} else if (dice < 0.8) {
			if ((await d.ctl('restart-worker',
			    String(one([0, 1])))).status === 0)
				hits.restart++;
		} else if (dice < 0.9) {
			book.mood(one(['mute', 'wait', 'shut']));
			await pause(Math.random() * 1000);
			book.calm();
			hits.mood++;
		} else {
			/* somebody else, to channels that are cold */
			const c = await Choir.open(d, 2, {suffix: `-${hits.come}`})
			    .catch(() => null);
			if (c) {
				c.begin();
				await pause(200);
				await c.end();
				await c.judge(book, {holes: true});
				c.leave();
				hits.come++;
			}
		}
		await pause(300 + Math.random() * 500);
	}
	console.log(`     ${JSON.stringify(hits)}`);
}
