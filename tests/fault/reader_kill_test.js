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
const {Daemon, processDescriptors} = require('../system/daemon.js');
const {Client} = require('../system/client.js');
const {Line} = require('../system/centrifugo.js');
const {Book, CONF, Choir, pause, until} = require('./ledger.js');
const {List} = require('./kill_points.js');
const {invariant} = require('./guests.js');

const LINE = 64;                  /* the reader's, hub/line.h */
const WRITERS = 6;
const BURST = 18, BURST_MS = 10000; /* more deaths than 20 are too many */
const PASS_MS = 400;              /* a point is passed within */
const READER = new RegExp('^(tests/kinds/(ledger|book)|' +
    'process/(child|reader_child)|hub/(reader|journal|spill|lock|presence))');
const WORKER = new RegExp('^(conn/(hold|reader|input|answer)|' +
    'room/(publish|opening|kept|channel|event|deliver|user)|' +
    'hub/(publisher|journal|reader|spill|presence|mask))');
const SHARE = {reader: LONG ? 1 : 7, worker: LONG ? 1 : 8}; /* of the points */
const STORM_S = LONG ? 600 : 4;

/* A process of `show processes`. */
async function row(d, kind, number = 0) {
	return (await d.json('show', 'processes')).find((p) =>
	    p.kind === kind && p.number === number);
}

/* It runs, as another process than that one. */
function follows(d, kind, pid, number = 0) {
	return until(`another ${kind}`, async () => {
		const r = await row(d, kind, number);
		return r.pid && r.pid !== pid && r.state === 'running';
	}, 20000);
}

/* A daemon with a reader, and writers that talk. */
async function talking(body, conf = '') {
	const list = new List(), book = new Book();
	const d = await Daemon.start({workers: 2, conf: CONF + conf,
	    env: {...book.env, CHATD_KILL_LIST: list.path}});
	try {
		await follows(d, 'ledger', 0);
		d.descriptors = processDescriptors(d.pid); /* with its link */
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
		await d.stop();
	} catch (error) {
		error.message += '\n' + d.stderr.slice(-2500)
		    .replace(/^/gm, '| ');
		throw error;
	} finally {
		Client.dropAll();
		await d.kill();
		list.remove();
		if (!process.env.KEEP)
			book.remove();
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

/* Goes on once so many deaths are not too many for the master. */
async function apart(deaths) {
	deaths.push(performance.now());
	if (deaths.length >= BURST)
		await until('it may die again', () => performance.now() -
		    deaths.at(-BURST) > BURST_MS, 2 * BURST_MS);
}

/* A process dies, by that signal, at each of those points that it passes; how
 * often it did. */
async function die(d, list, points, kind, line, signal) {
	const deaths = [];
	let fell = 0;
	for (const key of points) {
		const {pid} = await row(d, kind), n = list.fired(line);
		const fired = () => list.fired(line) > n;
		list.arm(parseInt(key, 10), 1, line, signal);
		await until('it dies', fired, PASS_MS).catch(async () => {
			/* passed at the start alone, or by other processes */
			process.kill(pid, 'SIGKILL');
			await apart(deaths);
			await follows(d, kind, pid);
			await until('it dies', fired, PASS_MS).catch(() => {});
		});
		list.arm(0, 0, line);
		fell += fired();
		await follows(d, kind, pid);
		await follows(d, kind, 0);
		await apart(deaths);
	}
	return fell;
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

/* Any of them. */
function one(of) {
	return of[Math.floor(Math.random() * of.length)];
}

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
