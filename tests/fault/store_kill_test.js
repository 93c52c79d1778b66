/*
 * The store dies while channels come that it has to open, hangs with the lock,
 * and dies of a message: each command is answered once, and what was accepted is
 * in the database once and in order. LONG=1 takes longer.
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/chatd');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {Daemon, processLives} = require('../system/daemon.js');
const {Line} = require('../system/centrifugo.js');
const {Choir, pause, until} = require('./ledger.js');
const {opening} = require('./storm.js');
const {List, die, row} = require('./kill_points.js');
const {Archive, BadDisk, KINDS, LEAP, RULES, becomes, killAll, noise, state, storing, talk} =
    require('./archive.js');

const LINE = 64; /* the store's, hub/line.h */
const OPENING = /^(store\/writer_|hub\/reader_answer)/;

/* Writers talk while the store dies at those points by that signal, and that is
 * done. */
async function dying(files, most, signal, beside, conf = '') {
	const list = new List();
	try {
		await storing(async (d, archive) => {
			const choir = await Choir.open(d, 4, {kinds: KINDS});
			choir.begin();
			await talk(choir, 50);
			const state = {stop: false}, done = beside(d, state);
			done.catch(() => {}); /* awaited below */
			await pause(200);
			const points = [...list.passes(files).keys()]
			    .slice(0, most);
			const n = await die(d, list, points, 'store', LINE,
			    signal);
			state.stop = true;
			console.log(`     ${n} deaths at ${points.length} ` +
			    `points, ${await done} channels opened`);
			assert.ok(n > 0);
			await choir.end();
			if (signal === 'SIGKILL')
				assert.deepEqual(choir.all('unknown'), []);
			await choir.judge(archive);
			choir.leave();
			await d.clean();
		}, {conf, env: {CHATD_KILL_LIST: list.path}});
	} finally {
		list.remove();
	}
}

/* The memory that all share, as the master has it open. */
function memory(pid) {
	return fs.readdirSync(`/proc/${pid}/fd`).map((fd) =>
	    `/proc/${pid}/fd/${fd}`).find((file) =>
	    fs.readlinkSync(file) === '/memfd:chatd (deleted)');
}

group('store killed', null, (test) => {
	test('while it opens channels', () => dying(OPENING, LONG ? 1000 : 10,
	    'SIGKILL', (d, state) => opening(d, 'told', state)),
	    {limit: LONG ? 600000 : 120000});

	test('hung with the lock', () => dying(/^hub\/journal/, LONG ? 20 : 1,
	    'SIGSTOP', async () => 0, 'watchdog 500ms\n'),
	    {limit: LONG ? 600000 : 120000});

	test('with all others: nothing seems to be missing before the leap',
	    async () => {
		const archive = new Archive();
		const say = async (d, from) => {
			const l = await Line.connected(d, '?user=a');
			for (let k = from; k < from + 3; k++)
				assert.ok((await l.ask('publish',
				    {channel: 'told', data: k})).publish);
			await archive.whole(d);
			l.client.drop();
		};
		for (let turn = 0; turn < 3; turn++)
			await storing(async (d) => {
				await say(d, 3 * turn);
				await killAll(d);
				await d.exited;
			}, {archive, keep: true, sound: false});
		await storing(async (d) => {
			await say(d, 9);
			assert.deepEqual(archive.judge('told').map((m) =>
			    [m.offset, Number(m.data)]), [0, 1, 2, 3].flatMap((t) =>
			    [1, 2, 3].map((k) => [t * (LEAP + 3) + k,
			    t * 3 + k - 1])));
		}, {archive});
	}, {limit: 60000});

	test('after its master: what was accepted is stored, and the next ' +
	    'waits for it', async () => {
		const archive = new Archive();
		let epoch, e;
		await storing(async (d) => {
			const l = await Line.connected(d, '?user=a');
			({epoch} = (await l.ask('subscribe', {channel: 'told'}))
			    .subscribe);
			assert.equal((await noise(d, 'told', {n: 50})).done.length,
			    50);
			assert.equal(archive.count('told') ?? 0, 0);
			const {pid} = await row(d, 'store');
			process.kill(pid, 'SIGSTOP');
			process.kill(d.pid, 'SIGKILL');
			await d.exited;
			e = await Daemon.start({...d.options, ready: false});
			await e.logged(/waiting for process \d+/);
			process.kill(pid, 'SIGCONT');
			await until('the store ends', () => !processLives(pid));
		}, {archive, keep: true, conf: 'store-wait 1s\n'});
		try {
			await e.ready();
			assert.equal(archive.messages('told').length, 50);
			const l = await Line.connected(e, '?user=b');
			const {subscribe} = await l.ask('subscribe',
			    {channel: 'told', recover: true, offset: 50, epoch});
			assert.equal(subscribe.recovered, true);
			assert.equal(subscribe.offset, 50 + LEAP);
			l.client.drop();
			await e.stop('SIGTERM', 15000);
		} finally {
			await e.kill();
			archive.remove();
		}
	}, {limit: 60000});

	if (LONG)
		test('not, while its log is moved to a slow disk', async () => {
		const bad = new BadDisk(BUILD);
		try {
			await storing(async (d, archive) => {
				await noise(d, 'told', {n: 100});
				await archive.whole(d);
				const {pid} = await row(d, 'store');
				/* after a second of nothing; twice so long */
				bad.set({syncMs: 12000});
				await pause(15000);
				bad.set({syncMs: 0});
				await noise(d, 'told', {n: 10});
				await archive.whole(d);
				assert.equal((await row(d, 'store')).pid, pid);
			}, {env: bad.env});
		} finally {
			bad.remove();
		}
	}, {limit: 120000});

	test('not what is stored of a channel that was not stored for a while',
	    async () => {
		const archive = new Archive();
		const rule = (store) => `channel "room" {${RULES}\tstore ` +
		    `${store}\n}\n`;
		const say = async (d, ...data) => {
			const l = await Line.connected(d, '?user=a');
			for (const k of data)
				assert.ok((await l.ask('publish',
				    {channel: 'room', data: k})).publish);
			await archive.whole(d);
			l.client.drop();
		};
		const options = {archive, keep: true};
		await storing((d) => say(d, 1, 2, 3),
		    {...options, channels: rule('yes')});
		const {epoch} = archive.channel('room');
		await storing(async (d) => {
			await say(d, 4, 5); /* beside the database: offsets 1, 2 */
			fs.writeFileSync(d.conf, archive.conf() + rule('yes'));
			assert.equal((await d.ctl('reload')).status, 0);
			await until('it is stored', async () => {
				await say(d, 6);
				return archive.messages('room').some((m) =>
				    m.data === '6');
			});
			await say(d, 7);
			/* those that have it are told, and go on as it is stored */
			const l = await Line.connected(d, '?user=b');
			const r = await l.ask('subscribe', {channel: 'room',
			    recover: true, offset: 3, epoch});
			assert.equal(r.subscribe.epoch, epoch);
			assert.notEqual(r.subscribe.recovered, true);
			l.client.drop();
		}, {...options, channels: rule('no')});
		const all = archive.judge('room', {holes: true});
		assert.deepEqual(all.slice(0, 3).map((m) => [m.offset, m.data]),
		    [[1, '1'], [2, '2'], [3, '3']]);
		assert.deepEqual([...new Set(all.slice(3).map((m) => m.data))],
		    ['6', '7']);
		assert.ok(archive.holes('room').length > 0);
		assert.equal(archive.channel('room').epoch, epoch);
		archive.remove();
	}, {limit: 60000});

	test('not by numbers that a hostile worker writes', () =>
	    storing(async (d, archive) => {
		const l = await Line.connected(d, '?user=a');
		const say = async (data) => assert.ok((await l.ask('publish',
		    {channel: 'told-hostile', data})).publish);
		await say(1);
		await archive.whole(d);
		/* struct presence_entry: tests/unit/layout.golden */
		const fd = fs.openSync(memory(d.pid), 'r+');
		const bytes = Buffer.alloc(64 << 20);
		fs.readSync(fd, bytes, 0, bytes.length, 0);
		const word = Buffer.alloc(8);
		for (const offset of [2n ** 62n, 2n ** 63n - 2n, 2n ** 64n - 9n]) {
			word.writeBigUInt64LE(offset);
			for (let at = -1; (at = bytes.indexOf('told-hostile',
			    at + 1)) !== -1;)
				if (at % 64 === 41)
					fs.writeSync(fd, word, 0, 8, at - 41 + 8);
			await say(2);
			await say(3);
			await archive.whole(d);
		}
		fs.closeSync(fd);
		assert.equal((await state(d)).state, 'ok');
		assert.equal(archive.channel('told-hostile').top, 7);
		assert.deepEqual(archive.judge('told-hostile').map((m) =>
		    Number(m.data)), [1, 2, 3, 2, 3, 2, 3]);
		l.client.drop();
	}), {limit: 60000});

	test('by a message: a hole after two deaths', () =>
	    storing(async (d, archive) => {
		const l = await Line.connected(d, '?user=a');
		const say = (channel, data) => l.ask('publish', {channel, data});
		for (const data of [1, 'crash on storing', 3])
			assert.ok((await say('told', data)).publish);
		await d.logged(/has crashed the store twice/);
		await archive.whole(d);
		assert.deepEqual(archive.messages('told').map((m) => m.data),
		    ['1', '3']);
		assert.deepEqual(archive.holes('told'),
		    [{after: 1, before: 2, why: 'poison'}]);
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
});
