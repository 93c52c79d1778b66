/*
 * A disk that is slow, full, read-only or locked, a reader who stays, a clock
 * that goes back: what is published to a channel that is stored goes on as if
 * nothing were, who waits for the store is told, and what was accepted is stored
 * as soon as the disk lets it, or written down as a hole. LONG=1 takes longer.
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/chatd');
const assert = require('node:assert/strict');
const {execFileSync, spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const {group} = require('../system/suite.js');
const {Client} = require('../system/client.js');
const {Line} = require('../system/centrifugo.js');
const {Daemon, processChildren} = require('../system/daemon.js');
const {patience} = require('./crowd.js');
const {Choir, pause, until} = require('./ledger.js');
const {row} = require('./kill_points.js');
const {Archive, BadDisk, CHANNELS, KINDS, LEAP, WAIT_MS, becomes, judgeOthers, noise,
    percentile, state, storing, talk} = require('./archive.js');

const SLOW_MS = 500;
const ROOT = process.getuid() === 0; /* may mount */

/* A test with a disk that misbehaves. */
async function disk(body, options = {}) {
	const bad = new BadDisk(BUILD);
	try {
		await storing((d, archive) => body(d, archive, bad), {...options,
		    env: bad.env});
	} finally {
		bad.remove();
	}
}

/* Writers talk while that is done; then the archive has what was answered. */
async function amid(d, archive, act) {
	const choir = await Choir.open(d, 6, {kinds: KINDS});
	choir.begin();
	await talk(choir, 50);
	await act(choir);
	await talk(choir, 50);
	await choir.end();
	judgeOthers(choir);
	await choir.judge(archive);
	console.log(`     ${choir.count()} done, ${choir.all('refused').length} ` +
	    `refused, ${choir.all('unknown').length} unknown`);
	choir.leave();
	await d.clean();
}

/* All that was accepted of a noise is stored, in order, once. */
async function stored(d, archive, channel, numbers) {
	await archive.whole(d);
	assert.deepEqual(archive.judge(channel).map((m) => JSON.parse(m.data).k),
	    numbers);
}

/* sqlite3 beside the daemon, which stays in a transaction; end() leaves it. */
async function beside(file, begin, ...args) {
	const child = spawn('sqlite3', [...args, file],
	    {stdio: ['pipe', 'pipe', 'inherit']});
	let text = '';
	child.stdout.on('data', (data) => text += data);
	child.stdin.write(`.timeout 5000\n${begin}\nSELECT 'begun';\n`);
	await until('it has begun', () => /begun/.test(text));
	return () => {
		child.stdin.end('COMMIT;\n');
		return new Promise((resolve) => child.on('exit', resolve));
	};
}

/* Who is there has it open. */
async function opened(d, channel) {
	const l = await Line.connected(d, '?user=opener');
	const r = await l.ask('subscribe', {channel});
	assert.ok(r.subscribe, JSON.stringify(r));
	l.client.drop();
}

/* The size of a file; 0: none. */
function size(file) {
	return fs.statSync(file, {throwIfNoEntry: false})?.size ?? 0;
}

/* The state is not `ok`, and the reason says so. */
async function troubled(d, wanted, reason, ms) {
	const s = await becomes(d, wanted, ms);
	assert.match(s.reason ?? '', reason, JSON.stringify(s));
	return s;
}

group('disk', null, (test) => {
	test(`a disk that takes ${SLOW_MS} ms`, () => disk(
	    async (d, archive, bad) => {
		/* more than the ring has, so that pages are the database's */
		await noise(d, 'told-page', {n: 1500, bytes: 4000});
		await archive.whole(d);
		const pager = await Line.connected(d, '?user=pager');
		const {history} = await pager.ask('history',
		    {channel: 'told-page'});
		const pages = [];
		let over = false;
		await amid(d, archive, async (choir) => {
			bad.set({syncMs: SLOW_MS});
			const rows = archive.count('told-noise'),
			    syncs = bad.get('syncs');
			const made = noise(d, 'told-noise', {rate: 800,
			    over: () => over});
			made.catch(() => {});
			const end = performance.now() + 5000;
			while (performance.now() < end) {
				const begin = performance.now();
				const r = await pager.ask('history', {
				    channel: 'told-page', limit: 50, since: {
				    offset: 1 + Math.floor(Math.random() * 900),
				    epoch: history.epoch}});
				pages.push(performance.now() - begin);
				assert.equal(r.history?.publications.length, 50,
				    JSON.stringify(r).slice(0, 300));
				await pause(5);
			}
			over = true;
			const {done, refused, unknown} = await made;
			assert.deepEqual([refused, unknown], [[], []]);
			await stored(d, archive, 'told-noise', done);
			const commits = bad.get('syncs') - syncs;
			console.log(`     ${done.length} rows in ${commits} ` +
			    `syncs, pages p50 ${percentile(pages, 50)
			    .toFixed(1)} p99 ${percentile(pages, 99).toFixed(1)} ` +
			    `ms`);
			/* pages are not delayed, commits take what came */
			assert.ok(percentile(pages, 99) < SLOW_MS / 5 *
			    patience());
			assert.ok(commits < 60, `${commits} syncs`);
			assert.ok(done.length / commits > 50);
			pager.client.drop();
			bad.set({syncMs: 0});
			const waits = choir.all('done').filter((m) =>
			    /^(acked|strict)/.test(m.channel) && m.ms > 100)
			    .map((m) => m.ms);
			console.log(`     acknowledged p50 ` +
			    `${percentile(waits, 50).toFixed(0)} max ` +
			    `${Math.max(...waits).toFixed(0)} ms`);
			assert.ok(waits.length > 10);
			assert.ok(percentile(waits, 50) < 1500 * patience());
			assert.equal(archive.holes('told-noise').length, 0);
			assert.equal(rows, 0);
		});
	}, {conf: 'journal 4M\n'}), {limit: 90000});

	test('slower than the traffic: a hole is written down', () => disk(
	    async (d, archive, bad) => {
		const l = await Line.connected(d, '?user=a');
		const {subscribe} = await l.ask('subscribe',
		    {channel: 'told-noise'});
		await noise(d, 'told-noise', {n: 10});
		await archive.whole(d);
		bad.set({syncMs: 3000});
		const {done, refused, unknown} = await noise(d, 'told-noise',
		    {n: 1000, bytes: 4000});
		assert.deepEqual([refused, unknown, done.length], [[], [], 1000]);
		bad.set({syncMs: 0});
		await archive.whole(d);
		const s = await becomes(d, 'ok');
		assert.ok(s.holes > 0, JSON.stringify(s));
		await d.logged(/not stored/);
		const rows = archive.judge('told-noise', {holes: true});
		const missing = 1010 - rows.length;
		const holes = archive.holes('told-noise');
		console.log(`     ${missing} missing, ${JSON.stringify(holes)}`);
		assert.ok(missing > 0);
		/* they name all that is missing, and nothing that is there */
		const there = new Set(rows.map((m) => m.offset));
		for (let k = 1; k <= 1010; k++)
			assert.equal(holes.some((h) => k > h.after &&
			    k <= h.before), !there.has(k), `offset ${k}`);
		/* who would have to be given what is missing is told */
		const other = await Line.connected(d, '?user=b');
		const r = await other.ask('subscribe', {channel: 'told-noise',
		    recover: true, offset: 5, epoch: subscribe.epoch});
		assert.ok(r.subscribe, JSON.stringify(r));
		assert.notEqual(r.subscribe.recovered, true);
		l.client.drop();
		other.client.drop();
		await amid(d, archive, () => {});
	}, {conf: 'journal 1M\n'}), {limit: 90000});

	test('slower than the traffic, `store-full refuse`', () => disk(
	    async (d, archive, bad) => {
		const plain = await Client.user(d.port, 'plain');
		plain.text('/join told-noise');
		assert.equal(await plain.heard(), '* joined told-noise');
		plain.text('/join plain');
		assert.equal(await plain.heard(), '* joined plain');
		const other = await Line.connected(d, '?user=other');
		bad.set({syncMs: 3000});
		const {done, refused, unknown} = await noise(d, 'told-noise',
		    {n: 600, bytes: 4000});
		assert.deepEqual(unknown, []);
		assert.ok(refused.length > 0 && done.length > 0,
		    `${refused.length} ${done.length}`);
		plain.text('/to told-noise x'.padEnd(5000, 'x'));
		for (let text; text !== '* busy, try again';) {
			text = await plain.heard();
			assert.match(text, /^\[told-noise\] |^\* busy/);
		}
		/* no other channel notices */
		assert.ok((await other.ask('publish', {channel: 'plain',
		    data: 1})).publish);
		bad.set({syncMs: 0});
		await until('it is taken again', async () => (await other.ask(
		    'publish', {channel: 'told-noise', data: {k: 600}})).publish);
		await stored(d, archive, 'told-noise', [...done, 600]);
		assert.equal((await state(d)).holes, 0);
	}, {conf: 'journal 1M\nstore-full refuse\n'}), {limit: 90000});

	if (ROOT) test('the disk is full, and grows', () => storing(
	    async (d, archive) => {
		await amid(d, archive, async (choir) => {
			await opened(d, 'told-noise2');
			const made = await noise(d, 'told-noise', {n: 15000,
			    bytes: 500});
			assert.deepEqual([made.refused, made.unknown], [[], []]);
			const s = await troubled(d, 'full', /full|left|free/);
			assert.ok(s.behind_ms > 0 || s.behind > 0 ||
			    s.behind?.ms > 0, JSON.stringify(s));
			await d.logged(/full|free/);
			const more = await noise(d, 'told-noise2', {n: 2000,
			    bytes: 500});
			assert.deepEqual([more.refused, more.unknown], [[], []]);
			/* who waits for it is told at once, or in time */
			await until('who waits is told', () =>
			    choir.all('refused').length +
			    choir.all('unknown').length > 0, 15000);
			archive.grow('64M');
			const begin = performance.now();
			await becomes(d, 'ok');
			console.log(`     goes on after ` +
			    `${(performance.now() - begin).toFixed(0)} ms`);
			assert.ok(performance.now() - begin < 4000 * patience());
			await stored(d, archive, 'told-noise', made.done);
			await stored(d, archive, 'told-noise2', more.done);
		});
		assert.equal((await state(d)).holes, 0);
	}, {disk: '6M'}), {limit: 90000});

	test('its files may not grow (LimitFSIZE)', () => storing(
	    async (d, archive) => {
		await noise(d, 'told-noise', {n: 10});
		await archive.whole(d);
		const {pid} = await row(d, 'store');
		const [uid, gid] = ['Uid', 'Gid'].map((key) => Number(
		    new RegExp(`${key}:\\s+(\\d+)`).exec(fs.readFileSync(
		    `/proc/${pid}/status`))[1]));
		const limit = (bytes) => execFileSync('prlimit', ['--pid', pid,
		    `--fsize=${bytes}:`], {uid, gid});
		limit(100000);
		const made = await noise(d, 'told-noise', {n: 500, bytes: 2000});
		assert.deepEqual([made.refused, made.unknown], [[], []]);
		await troubled(d, 'full', /too large/i);
		limit('unlimited');
		await becomes(d, 'ok');
		assert.equal((await row(d, 'store')).pid, pid);
		await archive.whole(d);
		assert.equal(archive.judge('told-noise').length, 510);
	}), {limit: 60000});

	if (ROOT) test('less than 5 % are left', () => storing(
	    async (d, archive) => {
		const filler = path.join(archive.dir, 'filler');
		await opened(d, 'told-noise');
		await noise(d, 'told', {n: 10});
		await archive.whole(d);
		fs.writeFileSync(filler, Buffer.alloc(62 << 20));
		const made = await noise(d, 'told-noise', {n: 100});
		await troubled(d, 'full', /5 ?%|free|left/);
		/* said before it is */
		assert.ok(fs.statfsSync(archive.dir).bavail > 0);
		await d.logged(/5 ?%|free|left/);
		assert.deepEqual([made.refused, made.unknown], [[], []]);
		assert.equal(archive.count('told-noise'), 0);
		fs.unlinkSync(filler);
		await becomes(d, 'ok');
		await stored(d, archive, 'told-noise', made.done);
		/* an end then is a clean one */
		fs.writeFileSync(filler, Buffer.alloc(62 << 20));
		await d.stop('SIGTERM', 15000);
		assert.doesNotMatch(d.stderr, /not stored/);
		assert.equal(archive.mark().clean, 1);
	}, {disk: '64M'}), {limit: 60000});

	if (ROOT && LONG) test('less than 5 % are left, and old rows give theirs', () =>
	    storing(async (d, archive) => {
		const filler = path.join(archive.dir, 'filler');
		const SIZE = 2 << 20, LEFT = 2 << 20, n = 650, bytes = 4000;
		await noise(d, 'told-noise', {n, bytes});
		await archive.whole(d);
		/* the file is as large as it may be, but for what is deleted */
		await until('it is pruned', async () =>
		    archive.count('told-noise') < 0.9 * n &&
		    size(`${archive.file}-wal`) === 0, 30000);
		const {bavail, bsize} = fs.statfsSync(archive.dir);
		fs.writeFileSync(filler, Buffer.alloc(bavail * bsize - LEFT));
		const before = size(archive.file);
		const made = await noise(d, 'told-noise', {n, bytes});
		assert.deepEqual([made.refused, made.unknown], [[], []]);
		await archive.whole(d);
		await becomes(d, 'ok');
		assert.ok(size(archive.file) <= before, `${before}, then ` +
		    size(archive.file));
		assert.equal((await state(d)).holes, 0);
		archive.judge('told-noise');
		assert.equal(JSON.parse(archive.messages('told-noise').at(-1).data)
		    .k, n - 1);
		assert.ok(archive.value(`SELECT page_count * page_size -
		    freelist_count * page_size FROM pragma_page_count(),
		    pragma_page_size(), pragma_freelist_count()`) < 1.2 * SIZE);
	}, {disk: '64M', conf: 'store-size 2M\n'}), {limit: 90000});

	if (LONG) test('rooms are opened while the disk is of no use', () => disk(
	    async (d, archive, bad) => {
		await noise(d, 'told-old', {n: 10});
		await archive.whole(d);
		await d.stop('SIGTERM', 15000);
		const e = await Daemon.start({...d.options, conf: archive.conf() +
		    CHANNELS});
		try {
			bad.set({writeError: os.constants.errno.ENOSPC});
			const l = await Line.connected(e, '?user=a');
			await noise(e, 'told', {n: 1, bytes: 1}).catch(() => {});
			await becomes(e, 'full');
			/* one that is there, and a new one */
			for (const channel of ['told-old', 'told-new']) {
				const begin = performance.now();
				const r = await l.ask('subscribe', {channel});
				assert.ok(r.subscribe, JSON.stringify(r));
				const ms = performance.now() - begin;
				assert.ok(ms < 1000 * patience(), `${ms} ms`);
				assert.ok((await l.ask('publish',
				    {channel, data: {k: 10}})).publish);
			}
			bad.set({writeError: 0});
			await becomes(e, 'ok');
			await stored(e, archive, 'told-old',
			    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
			await stored(e, archive, 'told-new', [10]);
			l.client.drop();
			await e.stop('SIGTERM', 15000);
		} finally {
			await e.kill();
		}
	}), {limit: 60000});

	for (const [what, error, wanted, reason] of [
	    ['read-only', os.constants.errno.EROFS, 'read-only', /read-only/i],
	    ['forbidden', os.constants.errno.EACCES, 'read-only|failed', /./],
	    ['broken', os.constants.errno.EIO, 'failed|off|slow|full', /./]])
		test(`the disk is ${what} for a while`, () => disk(
		    async (d, archive, bad) => {
			await amid(d, archive, async () => {
				await opened(d, 'told-noise');
				bad.set({writeError: error});
				const s = await until('it says so', async () => {
					const now = await state(d);
					return !/^(ok|slow)$/.test(now.state) && now;
				}, 15000);
				console.log(`     ${JSON.stringify(s)}`);
				assert.match(s.state, new RegExp(wanted));
				assert.match(s.reason ?? '', reason);
				const made = await noise(d, 'told-noise',
				    {n: 500});
				assert.deepEqual([made.refused, made.unknown],
				    [[], []]);
				bad.set({writeError: 0});
				await becomes(d, 'ok');
				await stored(d, archive, 'told-noise', made.done);
			});
			assert.equal((await state(d)).holes, 0);
		}), {limit: 90000});

	if (LONG) test('another process holds it locked', () => storing(
	    async (d, archive) => amid(d, archive, async () => {
		await opened(d, 'told-noise');
		const end = await beside(archive.file, 'BEGIN IMMEDIATE;');
		const made = await noise(d, 'told-noise', {n: 500});
		assert.deepEqual([made.refused, made.unknown], [[], []]);
		const s = await until('it says so', async () => {
			const now = await state(d);
			return !/^(ok|slow)$/.test(now.state) && now;
		}, 15000);
		console.log(`     ${JSON.stringify(s)}`);
		assert.match(s.reason ?? '', /lock/);
		await end();
		await becomes(d, 'ok');
		await stored(d, archive, 'told-noise', made.done);
	})), {limit: 90000});

	test('a reader keeps a transaction open', () => storing(
	    async (d, archive) => {
		const WAL = LONG ? 300 << 20 : 12 << 20;
		let end, over = false, made;
		const wal = `${archive.file}-wal`;
		await amid(d, archive, async () => {
			await noise(d, 'told-noise', {n: 10});
			await archive.whole(d);
			end = await beside(archive.file,
			    'BEGIN; SELECT count(*) FROM publication;',
			    '-readonly');
			made = noise(d, 'told-noise2', {bytes: 2000,
			    over: () => over});
			made.catch(() => {});
			await until('the WAL grows', () => size(wal) > WAL,
			    LONG ? 300000 : 30000);
			if (LONG)
				await d.logged(/-wal has \d+ bytes/);
			over = true;
			await made;
		});
		const {done, refused, unknown} = await made;
		assert.deepEqual([refused, unknown], [[], []]);
		const s = await state(d);
		assert.ok(s.wal_bytes > WAL / 2, JSON.stringify(s));
		await end();
		await until('it shrinks', () => size(wal) < WAL / 4, 30000)
		    .catch((error) => {
			throw new Error(`${error.message}: ${size(wal)}`);
		});
		await stored(d, archive, 'told-noise2', done);
	}, {conf: 'journal 256M\n'}), {limit: LONG ? 600000 : 90000});

	test('a clock that is far ahead deletes nothing', async () => {
		const archive = new Archive(), bad = new BadDisk(BUILD);
		const options = {archive, keep: true, env: bad.env,
			conf: 'store-age 1d\n'};
		try {
			for (const n of [20, 40]) {
				await storing(async (d) => {
					await noise(d, 'told', {n: 10});
					await archive.whole(d);
					bad.set({clockMs: 400 * 24 * 3600000});
					await d.logged(/clock has leapt .* days/,
					    20000);
					await noise(d, 'told', {n: 10});
					await archive.whole(d);
					await pause(100); /* for what is due */
					assert.equal(archive.count('told'), n);
				}, options);
			}
		} finally {
			bad.remove();
			archive.remove();
		}
	}, {limit: 60000});

	test('the clock goes back', () => disk(async (d, archive, bad) => {
		const l = await Line.connected(d, '?user=a');
		const {subscribe} = await l.ask('subscribe', {channel: 'told-t'});
		await amid(d, archive, async (choir) => {
			let k = 0;
			const some = async () => {
				for (let n = 0; n < 20; n++)
					assert.ok((await l.ask('publish', {
					    channel: 'told-t', data: k++}))
					    .publish);
				await talk(choir, 30);
			};
			await some();
			bad.set({clockMs: -3600000});
			await some();
			bad.set({clockMs: -7200000});
			await some();
			bad.set({clockMs: 0});
			await some();
			l.client.drop();
		});
		await archive.whole(d);
		const rows = archive.judge('told-t');
		assert.deepEqual(rows.map((m) => Number(m.data)),
		    Array.from({length: 80}, (_, k) => k));
		assert.ok(rows[25].time < rows[19].time - 3000000, 'the clock ' +
		    `did not go back: ${rows.map((m) => m.time)}`);
		const other = await Line.connected(d, '?user=b');
		const r = await other.ask('subscribe', {channel: 'told-t',
		    recover: true, offset: 0, epoch: subscribe.epoch});
		assert.equal(r.subscribe?.recovered, true, JSON.stringify(r)
		    .slice(0, 300));
		assert.equal(r.subscribe.publications.length, 80);
		other.client.drop();
	}), {limit: 60000});

	test('`store-sync full` has each acknowledged one on the disk', () =>
	    disk(async (d, archive, bad) => {
		const l = await Line.connected(d, '?user=a');
		let over = false;
		/* so that workers look at the journal all the time */
		const made = noise(d, 'plain', {rate: 500, over: () => over});
		made.catch(() => {});
		await l.ask('publish', {channel: 'acked', data: 'first'});
		bad.set({syncMs: 100});
		for (let k = 0; k < 20; k++) {
			const before = bad.get('syncs');
			const begin = performance.now();
			assert.ok((await l.ask('publish', {channel: 'acked',
			    data: k})).publish);
			assert.ok(performance.now() - begin > 95,
			    `publication ${k}`);
			assert.ok(bad.get('syncs') > before, `publication ${k}`);
		}
		bad.set({syncMs: 0});
		over = true;
		await made;
	}), {limit: WAIT_MS});

	test('a hole is told once, however often it is tried', () => disk(
	    async (d, archive, bad) => {
		await noise(d, 'told-noise', {n: 10});
		await archive.whole(d);
		bad.set({writeError: os.constants.errno.ENOSPC});
		await noise(d, 'told-noise', {n: 600, bytes: 4000});
		const {failures} = await becomes(d, 'full');
		await until('it is tried again', async () =>
		    (await state(d)).failures > failures + 1);
		bad.set({writeError: 0});
		await becomes(d, 'ok');
		await archive.whole(d);
		const holes = archive.holes('told-noise').length;
		assert.ok(holes > 0); /* on a busy machine a few, one by one */
		assert.equal(d.stderr.match(/a hole in channel/g).length, holes);
	}, {conf: 'journal 1M\n'}), {limit: 60000});

	/* what was taken and not committed is there still */
	test('a ring that goes round while nothing can be written', () => disk(
	    async (d, archive, bad) => {
		for (const channel of ['plain-noise', 'acked', 'strict', 'told'])
			await opened(d, channel);
		const choir = await Choir.open(d, 6, {kinds: KINDS});
		choir.begin();
		await talk(choir, 50);
		bad.set({writeError: os.constants.errno.ENOSPC});
		await until('it is of no use', async () =>
		    !/^(ok|slow)$/.test((await state(d)).state), 15000);
		await noise(d, 'plain-noise', {n: 1000, bytes: 4000});
		process.kill((await row(d, 'store')).pid, 'SIGKILL');
		bad.set({writeError: 0});
		await becomes(d, 'ok');
		await talk(choir, 50);
		await choir.end();
		judgeOthers(choir);
		await choir.judge(archive, {holes: true});
		choir.leave();
	}, {conf: 'journal 1M\n'}), {limit: 60000});

	test('the machine loses its power: what was acknowledged is there',
	    async () => {
		const bad = new BadDisk(BUILD), archive = new Archive();
		const acked = [];
		try {
			bad.set({safe: 1});
			await storing(async (d) => {
				const choir = await Choir.open(d, 6,
				    {kinds: KINDS, plain: false});
				choir.begin();
				await talk(choir, 400);
				/* what is done by now; then what is on the disk */
				acked.push(...choir.all('done').filter((m) =>
				    /^(acked|strict)/.test(m.channel)));
				for (const pid of [d.pid, ...processChildren(d.pid)])
					process.kill(pid, 'SIGKILL');
				await d.exited;
				choir.leave();
				archive.lose();
			}, {archive, keep: true, sound: false, env: bad.env});
			const there = archive.recovered();
			assert.ok(acked.length > 100);
			for (const channel of ['acked', 'strict']) {
				const all = new Set(there.judge(channel)
				    .map((m) => m.data.startsWith('{') ?
				    JSON.parse(m.data).text : m.data));
				for (const m of acked)
					assert.ok(m.channel !== channel ||
					    all.has(m.data), m.data);
			}
			await storing(async (d) => {
				const l = await Line.connected(d, '?user=a');
				const {subscribe} = await l.ask('subscribe',
				    {channel: 'acked'});
				assert.ok(subscribe.offset > LEAP);
			}, {archive, keep: true});
		} finally {
			bad.remove();
			archive.remove();
		}
	}, {limit: 60000});
});
