/*
 * Kinds of children that are neither workers nor keepers (tests/kinds): one
 * follows the journal and counts, one takes the lock, one counts as a program
 * of its own, one publishes numbers to a room, one is a reader of the journal.
 * They die and hang at each kill point of theirs, and are upgraded, while a
 * crowd talks: nobody notices, nothing is left uncounted, and no number is lost
 * or comes twice.
 */
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
const KINDS = path.join(BUILD, 'kill/kinds');
process.env.CHATD = path.join(KINDS, 'sbin/chatd');
process.env.CHATD_PACE = '/nonexistent'; /* there is one: pace.c */
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, freePort, logProcess, processDescriptors, processLives,
    run} = require('../system/daemon.js');
const {Client} = require('../system/client.js');
const {tlsDaemon, tlsStop, wss} = require('../system/tls.js');
const {Crowd, pause, until} = require('./crowd.js');
const {List, die, follows, row} = require('./kill_points.js');

/* kinds.c, hub/line.h */
const LINES = {count: 64, lock: 65, apart: 66, announce: 67, pace: 68};
const COUNTING = /^(tests\/kinds\/count|process\/child)/;
const POINTS = {count: COUNTING, apart: COUNTING,
    lock: /^(tests\/kinds\/kinds|process\/child|hub\/lock|hub\/journal)/,
    announce: /^(tests\/kinds\/announce|process\/child|hub\/(journal|publisher))/,
    pace: /^(process\/(reader_)?child|hub\/reader)/};
/* Fewer deaths than that show that points are not found. */
const DEATHS = {count: 3, apart: 3, lock: 5, announce: 8, pace: 3};
const PEOPLE = 12;
/* Points at which one is stopped. */
const HUNG = (kind) => LONG ? kind === 'announce' ? 30 : 6 : 1;

/* All of them run. */
async function whole(d) {
	for (const kind in LINES)
		await follows(d, kind);
	d.descriptors = processDescriptors(d.pid); /* with their links */
}

/* All that was published is counted, and the lock is taken. */
async function counted(d) {
	const {position} = await d.json('show', 'stats');
	for (const kind of ['count', 'apart', 'pace'])
		await until(`${kind} has counted all`, async () =>
		    (await row(d, kind)).cursor >= position);
	const {cursor} = await row(d, 'lock');
	await until('the lock is taken', async () =>
	    (await row(d, 'lock')).cursor > cursor);
}

/* Where a process's stack is, and what its stack canary is made of: 16 bytes
 * that the kernel gives each program that is executed (auxv, AT_RANDOM). */
function chances(pid) {
	const AT_RANDOM = 25n;
	const auxv = fs.readFileSync(`/proc/${pid}/auxv`);
	const mem = fs.openSync(`/proc/${pid}/mem`), random = Buffer.alloc(16);
	for (let i = 0; i < auxv.length; i += 16)
		if (auxv.readBigUInt64LE(i) === AT_RANDOM)
			assert.equal(16, fs.readSync(mem, random, 0, 16,
			    Number(auxv.readBigUInt64LE(i + 8))));
	fs.closeSync(mem);
	const [, stack] = fs.readFileSync(`/proc/${pid}/maps`, 'latin1')
	    .match(/^([0-9a-f]+)-\S+ .*\[stack\]/m);
	const [code] = fs.readFileSync(`/proc/${pid}/maps`, 'latin1').split('-');
	return {stack, code, random: random.toString('hex')};
}

/* One who hears the numbers that are published to a room. */
class Reader {
	static async open(d) {
		const r = new Reader();
		r.client = await Client.user(d.port, 'reader');
		r.client.text('/join news');
		return r;
	}

	/* Hears all that has been published until now, each number once and in
	 * order. */
	async judge() {
		const heard = [];
		this.client.text('/to news end');
		for (let line; line !== '[news] reader says: end';) {
			line = await this.client.heard();
			const order = line.match(/^\[news\] news says: order (\d+)$/);
			if (order)
				heard.push(Number(order[1]));
		}
		assert.ok(heard.length > 1, `${heard.length} numbers`);
		heard.forEach((n, i) => assert.equal(n, heard[0] + i));
		await this.client.close();
		return heard.length;
	}
}

/* A daemon with a crowd that talks. */
async function talking(options) {
	const d = await Daemon.start({workers: 2, ...options});
	await whole(d);
	d.reader = await Reader.open(d);
	const crowd = await Crowd.unbroken(d, PEOPLE);
	crowd.cut();
	crowd.talk([...crowd.people]);
	return {d, crowd};
}

/* Nobody has noticed. */
async function end(d, crowd) {
	console.log(`     ${await d.reader.judge()} numbers`);
	await crowd.judgeAll();
	await crowd.presence();
	await counted(d);
	await crowd.leave();
	await d.clean();
	await d.stop();
}

group('kinds', null, (test) => {
	for (const kind in LINES)
		test(`${kind} dies at each of its kill points`, async () => {
			const list = new List();
			const {d, crowd} = await talking(
			    {env: {CHATD_KILL_LIST: list.path}});
			const n = await die(d, list,
			    list.passes(POINTS[kind]).keys(), kind, LINES[kind]);
			console.log(`     ${n} deaths`);
			assert.ok(n >= DEATHS[kind], `${n} deaths`);
			await end(d, crowd);
			list.remove();
		}, {limit: 120000});

	for (const kind in LINES)
		test(`${kind} hangs at its kill points`, async () => {
			let hung = 0;
			for (let nth = 1; nth <= HUNG(kind); nth++) {
				const {d, crowd} = await talking({
				    conf: 'watchdog 500ms\n', env: {
				    CHATD_KILL_WORKER: String(LINES[kind]),
				    CHATD_KILL_NTH: String(nth + 1),
				    CHATD_KILL_SIGNAL: '19'}});
				await until('it is replaced', async () =>
				    (await row(d, kind)).generation > 1, 15000);
				/* the log comes a little later than what is shown */
				await d.logged(/(hung for|not ready in time)/);
				hung++;
				await whole(d);
				await end(d, crowd);
			}
			assert.equal(hung, HUNG(kind));
		}, {limit: 200000});

	test('each has addresses and a stack canary of its own', async () => {
		const d = await Daemon.start({workers: 2});
		await whole(d);
		const all = [chances(d.pid)];
		/* a keeper is a copy of a worker that has read nothing yet */
		for (const p of (await d.json('show', 'processes'))
		    .filter((p) => p.kind !== 'keeper')) {
			all.push(chances(p.pid));
			process.kill(p.pid, 'SIGKILL');
			const next = await until('another one', async () =>
			    (await d.json('show', 'processes')).find((q) =>
			    q.kind === p.kind && q.number === p.number &&
			    q.pid && q.pid !== p.pid && q.state === 'running'),
			    15000);
			all.push(chances(next.pid));
		}
		/* it is no kind, and has read what all others sent it */
		const log = logProcess(d.pid);
		all.push(chances(log));
		process.kill(log, 'SIGKILL');
		all.push(chances(await until('another log process', () => {
			const next = logProcess(d.pid);
			return next !== log && next;
		})));
		assert.equal(all.length, 1 + 2 + 2 * (2 + Object.keys(LINES).length));
		for (const what of ['stack', 'code', 'random'])
			assert.equal(new Set(all.map((c) => c[what])).size,
			    all.length, what);
		await d.stop();
	});

	test('clients come over TLS beside them', async () => {
		const d = await tlsDaemon({workers: 1});
		const ws = wss(d, '?user=alice');
		await new Promise((resolve, reject) => {
			ws.on('open', resolve);
			ws.on('error', reject);
		});
		ws.terminate();
		await tlsStop(d);
	});

	test('they get the settings of a reload', async () => {
		const d = await Daemon.start({workers: 2, conf: ''});
		await whole(d);
		fs.appendFileSync(d.conf, 'message-size 12345\n');
		const r = await d.ctl('reload');
		assert.equal(r.status, 0, r.stderr);
		for (const kind in LINES)
			await d.logged(
			    new RegExp(`${kind}: message-size is 12345`));
		await d.clean();
		await d.stop();
	});

	test('they are upgraded', async () => {
		const {d, crowd} = await talking();
		const before = await d.json('show', 'processes');
		const r = await d.ctl('upgrade');
		assert.equal(r.status, 0, r.stderr);
		await until('all are replaced', async () =>
		    (await d.json('show', 'upgrade')).state === 'done', 20000);
		await whole(d);
		const pids = (await d.json('show', 'processes')).map((p) => p.pid);
		for (const p of before)
			assert.ok(!pids.includes(p.pid), `${p.kind} ${p.number}`);
		await end(d, crowd);
	}, {limit: 60000});

	test('the memory is copied, and they go on where they were', async () => {
		const {d, crowd} = await talking();
		await until('the lock is taken often', async () =>
		    (await row(d, 'lock')).cursor > 1000);
		const before = await d.json('show', 'processes');
		fs.writeFileSync(d.conf, 'users 5000\n');
		const r = await d.ctl('upgrade');
		assert.equal(r.status, 0, r.stderr);
		await d.logged(/memory copied in/);
		await whole(d);
		const after = await d.json('show', 'processes');
		for (const p of before)
			assert.ok(!after.some((q) => q.pid === p.pid), p.kind);
		for (const {kind, cursor} of before)
			if (kind in LINES)
				assert.ok((await row(d, kind)).cursor >= cursor,
				    kind);
		await end(d, crowd);
	}, {limit: 60000});

	test('one that hangs does not keep the memory from being copied', async () => {
		const {d, crowd} = await talking();
		const {pid} = await row(d, 'lock');
		process.kill(pid, 'SIGSTOP');
		fs.writeFileSync(d.conf, 'users 5000\n');
		const r = await d.ctl('upgrade');
		assert.equal(r.status, 0, r.stderr);
		await d.logged(/memory copied in/);
		await whole(d);
		await end(d, crowd);
	}, {limit: 60000});

	test('all stop with the daemon, and when it is killed', async () => {
		for (const signal of ['SIGTERM', 'SIGKILL']) {
			const d = await Daemon.start({workers: 2});
			await whole(d);
			const all = (await d.json('show', 'processes'))
			    .map((p) => p.pid);
			process.kill(d.pid, signal);
			await until('all are gone', () => !all.some(processLives));
			await d.kill();
		}
	});

	/* A chatd in a folder of its own, with these programs beside it; null:
	 * without one. */
	const CHILD = path.join(KINDS, 'libexec/chatd/chatd-child');
	const copy = (apart, child = CHILD) => {
		const at = fs.mkdtempSync(path.join(os.tmpdir(), 'kinds-'));
		fs.chmodSync(at, 0o755); /* children have another user */
		fs.mkdirSync(path.join(at, 'sbin'));
		fs.mkdirSync(path.join(at, 'libexec/chatd'), {recursive: true});
		fs.copyFileSync(process.env.CHATD, path.join(at, 'sbin/chatd'));
		if (apart)
			fs.copyFileSync(apart,
			    path.join(at, 'libexec/chatd/apart'));
		if (child)
			fs.copyFileSync(child,
			    path.join(at, 'libexec/chatd/chatd-child'));
		return at;
	};
	/* Starts it; it is to fail. */
	const fails = async (at) => {
		const r = await run(path.join(at, 'sbin/chatd'), ['-d', '-w', '1',
		    '-l', `127.0.0.1:${await freePort()}`, '-s',
		    path.join(at, 'control')]);
		fs.rmSync(at, {recursive: true});
		assert.equal(r.status, 1);
		return r.stderr;
	};
	const MISSING = /chatd-child: .*libexec\/chatd\/chatd-child cannot be executed: No such file.* same build/;
	const OTHER = /libexec\/chatd\/chatd-child is of another build: "chatd-child .* layout [0-9a-f]{16} .*", this chatd needs "chatd-child .* layout [0-9a-f]{16} .*"; install it from the same build as chatd/;
	const other = path.join(BUILD,
	    'other-layout/libexec/chatd/chatd-child');

	test('chatd-child is missing, or of another build: nothing starts', async () => {
		assert.match(await fails(copy(null, null)), MISSING);
		assert.match(await fails(copy(null, other)), OTHER);
		assert.match(await fails(copy(null, '/bin/true')),
		    /another build: "", this chatd needs/);
		assert.match(await fails(copy(null, __filename)),
		    /chatd-child cannot be executed: .* same build/);
	});

	test('so is that of an upgrade: the chat goes on', async () => {
		const {d, crowd} = await talking();
		for (const [child, what] of [[null, MISSING], [other, OTHER]]) {
			const at = copy(path.join(KINDS, 'libexec/chatd/apart'),
			    child);
			const r = await d.ctl('upgrade',
			    path.join(at, 'sbin/chatd'));
			assert.equal(r.status, 1);
			assert.match(r.stderr, what);
			fs.rmSync(at, {recursive: true});
		}
		await end(d, crowd);
	});

	test('a program that is missing is told, and nothing starts', async () => {
		assert.match(await fails(copy(null)), /apart: .*libexec\/chatd\/apart cannot be executed: No such file.* same build/);
	});

	/* Puts that program in the place of the one that is there; null: none. */
	const install = (at, apart) => {
		const to = path.join(at, 'libexec/chatd/apart');
		if (apart === null) {
			fs.unlinkSync(to);
			return;
		}
		fs.copyFileSync(apart, to + '.new');
		fs.renameSync(to + '.new', to);
	};

	/* It is tried again after 1 s, then 2 s, and each death is in the log
	 * once; show says that it waits. */
	const backsOff = async (d) => {
		await d.logged(/apart \(pid \d+\) left with status 1 after [0-9.]+ s, before it was ready; next start in 2\.0 s/,
		    15000);
		await until('it waits', async () =>
		    (await row(d, 'apart')).state === 'waiting', 10000);
		const {generation} = await row(d, 'apart');
		const deaths = d.stderr.match(/apart \(pid \d+\) left with status 1/g);
		assert.ok(deaths.length <= generation);
		const pids = d.stderr.match(/apart \(pid \d+\) left/g);
		assert.equal(new Set(pids).size, pids.length);
	};

	test('a program of another layout is told, and the chat goes on', async () => {
		const at = copy(path.join(KINDS, 'apart-other'));
		const d = await Daemon.start({workers: 1});
		await whole(d);
		const r = await d.ctl('upgrade', path.join(at, 'sbin/chatd'));
		assert.equal(r.status, 0, r.stderr);
		await d.logged(/apart: error: apart has layout [0-9a-f]{16}, chatd has [0-9a-f]{16}: install both from the same build/,
		    15000);
		await backsOff(d);
		const crowd = await Crowd.unbroken(d, 3);
		crowd.cut();
		crowd.talk([...crowd.people]);
		install(at, path.join(KINDS, 'libexec/chatd/apart'));
		await follows(d, 'apart');
		await counted(d);
		await crowd.judgeAll();
		await crowd.leave();
		await d.stop();
		fs.rmSync(at, {recursive: true});
	}, {limit: 60000});

	test('a program that vanishes is told, and the chat goes on', async () => {
		const apart = path.join(KINDS, 'libexec/chatd/apart');
		const at = copy(apart);
		const d = await Daemon.start({workers: 1});
		await whole(d);
		const r = await d.ctl('upgrade', path.join(at, 'sbin/chatd'));
		assert.equal(r.status, 0, r.stderr);
		await until('all are replaced', async () =>
		    (await d.json('show', 'upgrade')).state === 'done', 20000);
		await whole(d);
		install(at, null);
		process.kill((await row(d, 'apart')).pid, 'SIGKILL');
		await d.logged(/apart: error: apart: .*libexec\/chatd\/apart cannot be executed: No such file.* same build/);
		await backsOff(d);
		const crowd = await Crowd.unbroken(d, 3);
		crowd.cut();
		crowd.talk([...crowd.people]);
		install(at, apart);
		await follows(d, 'apart');
		await counted(d);
		await crowd.judgeAll();
		await crowd.leave();
		await d.clean();
		await d.stop();
		fs.rmSync(at, {recursive: true});
	}, {limit: 60000});
});
