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
const {Choir, one, pause, reading, until} = require('./ledger.js');
const {opening, others, storm} = require('./storm.js');
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

group('killed beside a reader', null, (test) => {
	test('the reader, at each of its kill points', () => talking(
	    async (d, choir, list) => {
		const points = [...list.passes(READER).keys()]
		    .filter((_, k) => k % SHARE.reader === 0);
		const state = {stop: false}, 
		    opened = opening(d, 'kept', state);
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
	    async (d, choir, list, book) => storm(d, STORM_S,
	    ['worker', 'worker', 'keeper', 'ledger'], {
		mood: async () => {
			book.mood(one(['mute', 'wait', 'shut']));
			await pause(Math.random() * 1000);
			book.calm();
		},
		come: async (k) => {
			const c = await others(d, k);
			if (!c)
				return false;
			await c.judge(book, {holes: true});
			c.leave();
			return true;
		}
	    }), 'watchdog 500ms\n'), {limit: STORM_S * 1000 + 240000});
});
