/*
 * Writers of both doors publish to channels that are stored while the store
 * dies at each kill point that it passes, hangs with the lock, or is killed at
 * random under full rate: each command is answered once, and what was accepted
 * is in the database once and in order. LONG=1 takes longer.
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/chatd');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Line} = require('../system/centrifugo.js');
const {Choir, pause, until} = require('./ledger.js');
const {List, die, follows, row} = require('./kill_points.js');
const {storing} = require('./store_book.js');

const LINE = 64; /* the store's, hub/line.h */
const WRITERS = 6;
const STORE = /^(store\/writer|process\/(child|reader_child)|hub\/(reader|journal|spill|presence))/;
const SHARE = LONG ? 1 : 2; /* of the points */
const KILLS = LONG ? 100 : 10;

/* A daemon with a store, and writers that talk while that is done. */
async function talking(body, conf = '', sure = true) {
	const list = new List();
	const talk = async (d, book) => {
		const choir = await Choir.open(d, WRITERS);
		choir.begin();
		await until('commands are done', () => choir.count() > 50);
		await body(d, choir, list, book);
		await choir.end();
		if (sure)
			assert.deepEqual(choir.all('unknown'), []);
		await choir.judge(book);
		console.log(`     ${choir.count()} done, ` +
		    `${choir.all('refused').length} refused`);
		choir.leave();
		await d.clean();
	};
	try {
		await storing(talk, {conf, env: {CHATD_KILL_LIST: list.path}});
	} finally {
		list.remove();
	}
}

/* Publishes to one new channel after the other, which the store opens, until
 * told to stop; returns how many. */
async function opening(d, state) {
	const l = await Line.connected(d, '?user=opener');
	let n = 0;
	for (; !state.stop; n++) {
		const r = await l.ask('publish', {channel: `kept-${n}`, data: n});
		assert.ok(r.publish, `kept-${n}: ${JSON.stringify(r)}`);
		await pause(1); /* the processors are for the others, too */
	}
	l.client.drop();
	return n;
}

group('store killed', null, (test) => {
	test('at each of its kill points', () => talking(
	    async (d, choir, list) => {
		const points = [...list.passes(STORE).keys()]
		    .filter((_, k) => k % SHARE === 0);
		const state = {stop: false}, opened = opening(d, state);
		opened.catch(() => {}); /* awaited below */
		const n = await die(d, list, points, 'store', LINE, 'SIGKILL');
		state.stop = true;
		console.log(`     ${n} deaths at ${points.length} points, ` +
		    `${await opened} channels opened`);
		assert.ok(n >= (LONG ? 20 : 4), `${n} deaths`);
	}), {limit: 300000});

	test(`at random, ${KILLS} times`, () => talking(
	    async (d, choir) => {
		for (let k = 0; k < KILLS; k++) {
			const {pid} = await row(d, 'store');
			await pause(50 + Math.random() * 300);
			process.kill(pid, 'SIGKILL');
			await follows(d, 'store', pid);
			if (k % 18 === 17)
				await pause(10000); /* more are too many */
		}
	}), {limit: LONG ? 600000 : 120000});

	test('a message that crashes it is a hole after two deaths', () =>
	    storing(async (d, book) => {
		const l = await Line.connected(d, '?user=a');
		const say = (channel, data) => l.ask('publish', {channel, data});
		for (const data of [1, 'crash on storing', 3])
			assert.ok((await say('told', data)).publish);
		await d.logged(/has crashed the store twice/);
		await book.whole(d);
		assert.deepEqual(book.messages('told').map((m) => m.data),
		    ['1', '3']);
		const [hole, ...more] = book.query('SELECT * FROM hole');
		assert.deepEqual(more, []);
		assert.deepEqual([hole.after, hole.before, hole.why],
		    [1, 2, 'poison']);
		const {history} = await l.ask('history',
		    {channel: 'told', limit: 10});
		assert.equal(history.publications.length, 3);
		/* who waits for it is told what is known */
		assert.equal((await say('acked', 'crash on storing'))
		    .error.code, 504);
		/* so many deaths are waited for, but not for long */
		await until('it goes on', async () =>
		    (await say('acked', 4)).publish, 15000);
		l.client.drop();
		await d.clean();
	}), {limit: 60000});

	test('hung with the lock', () => talking(
	    async (d, choir, list) => {
		const points = [...list.passes(/^hub\/journal/).keys()]
		    .slice(0, LONG ? 20 : 1);
		const n = await die(d, list, points, 'store', LINE, 'SIGSTOP');
		assert.ok(n >= 1, `${n} deaths`);
	}, 'watchdog 500ms\n', false), {limit: LONG ? 600000 : 120000});
});
