/*
 * The machine: what the log and -n say of its limits is what holds, and what
 * the configuration leaves open is chosen by them.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {cage, Group} = require('./cage.js');
const {group} = require('./suite.js');
const {CHATD, Daemon, ENV, freePort, run, soon, until} = require('./daemon.js');
const {Client, request} = require('./client.js');
const {tlsDaemon, tlsStop} = require('./tls.js');

const MB = 1 << 20;
const STRANGER = 61397; /* a user id that nobody has */
const ROOT = process.getuid() === 0;
const BATCH = 50; /* connections begun at once */

/* A test in a group of control; it is skipped, loudly, where there is none. */
function inGroup(test, name, limits, body) {
	test(name, async () => {
		const g = Group.make(limits);
		if (!g) {
			console.log(`skip NOT TESTED, ${name}: ${Group.why}`);
			return;
		}
		try {
			await body(g);
		} finally {
			await Daemon.killAll();
			await soon(() => g.folders.every((f) =>
			    fs.readFileSync(`${f}/cgroup.procs`, 'utf8') === ''),
			    3000);
			g.remove();
		}
	});
}

/* chatd -n within limits, as a user if one is given: what it says. */
async function check(conf, limits, user = {}) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
	try {
		const file = path.join(dir, 'chatd.conf');
		fs.writeFileSync(file, conf);
		fs.chmodSync(dir, 0o755);
		const r = await run(CHATD, ['-n', '-f', file],
		    {env: {...ENV, ...cage(limits)}, ...user});
		assert.equal(r.status, 0, r.stderr);
		assert.match(r.stderr, /: OK$/m);
		return r.stderr;
	} finally {
		fs.rmSync(dir, {recursive: true, force: true});
	}
}

/* Whether one more client is served; it stays then. */
async function comes(d, user) {
	const c = await Client.connect(d.port);
	c.write(request(`/ws?user=${user}`));
	const {status} = await c.head();
	if (status !== 101)
		c.drop();
	else
		c.socket.pause(); /* what is said to all is not its business */
	return status === 101;
}

/* Connects until nobody has been served for a second; how many were. */
async function fill(d) {
	let n = 0, last = Date.now();
	for (let k = 0; Date.now() - last < 1000; k += BATCH) {
		const served = (await Promise.all(Array.from({length: BATCH},
		    (_, i) => comes(d, `u${k + i}`)))).filter(Boolean).length;
		n += served;
		if (served > 0)
			last = Date.now();
	}
	return n;
}

group('descriptors', null, (test) => {
	for (const files of [64, 256, 1000, 1024, 1100])
		test(`the log's figure at ulimit -n ${files}`, async () => {
			const d = await Daemon.start({env: cage({ulimit:
			    `-n ${files}`})});
			const line = await d.logged(/up to \d+ connections/);
			const said = Number(/up to (\d+) conn/.exec(line)[1]);
			assert.match(line, new RegExp(`${files} open files`));
			assert.equal(await fill(d), said, line);
			Client.dropAll();
			await d.clean();
			await d.stop();
		}, {limit: 60000});
	test('handshakers get ready at ulimit -n 64', async () => {
		const d = await tlsDaemon({env: cage({ulimit: '-n 64'})});
		await tlsStop(d);
	});
	test('all that the configuration has, where they suffice', async () => {
		const d = await Daemon.start({conf: 'connections 100\n'});
		await d.logged(/up to 100 connections, on any worker/);
		await d.stop();
	});
});

group('processes', null, (test) => {
	inGroup(test, 'pids.max is too small', {pids: {max: 17}}, async (g) => {
		const d = await Daemon.start({env: cage({groups: [g]})});
		await d.logged(new RegExp('4 workers need 18, .*the limit is 17 ' +
		    `\\(${g.folders[0]}/pids.max\\)`));
		await d.stop();
		assert.match(await check('workers 4\n', {groups: [g]}),
		    /4 workers need 18, .*the limit is 17/);
		assert.doesNotMatch(await check('workers 3\n', {groups: [g]}),
		    /processes:/);
	});
	inGroup(test, 'more workers at a reload', {pids: {max: 17}}, async (g) => {
		const d = await Daemon.start({workers: false,
		    conf: 'workers 1\n', env: cage({groups: [g]})});
		fs.writeFileSync(d.conf, 'workers 4\n');
		assert.equal((await d.ctl('reload')).status, 0);
		await d.logged(/4 workers need 18, .*the limit is 17/);
		await until('4 workers', async () =>
		    (await d.json('show', 'workers')).length === 4);
		await d.stop();
	});
	if (ROOT)
		test('ulimit -u binds who is not root', async () => {
			const user = {uid: STRANGER, gid: STRANGER};
			assert.match(await check('workers 4\n', {ulimit: '-u 17'},
			    user), /need 18, .*the limit is 17 \(ulimit -u/);
			assert.doesNotMatch(await check('workers 4\n',
			    {ulimit: '-u 17'}), /processes:/);
		});
	if (ROOT)
		test('not even one to try the program of children', async () => {
			/* who has no other process: master and reader are two */
			const user = {uid: STRANGER + 1, gid: STRANGER + 1};
			const socket = path.join(os.tmpdir(), `chatd-test-${process.pid}`);
			const r = await run('prlimit', ['--nproc=2', CHATD, '-d', '-w',
			    '1', '-l', `127.0.0.1:${await freePort()}`, '-s', socket],
			    user);
			fs.rmSync(socket, {force: true});
			assert.equal(r.status, 1);
			assert.match(r.stderr, /chatd-child cannot be tried: .*raise/);
		});
});

group('processors', null, (test) => {
	for (const [quota, workers] of [[50000, 1], [100000, 1]])
		inGroup(test, `a quota of ${quota / 1000} %`,
		    {cpu: {max: quota}}, async (g) => {
			const d = await Daemon.start({workers: false,
			    env: cage({groups: [g]})});
			assert.equal((await d.json('show', 'workers')).length,
			    workers);
			await d.stop();
		});
});

group('memory', null, (test) => {
	inGroup(test, '-n and the log say what shrinks', {memory: {max: 64 * MB}},
	    async (g) => {
		const said = /^memory: the limit is 64M .*\bmemory\.[a-z_]+\).*shrunk to fit: connections 65536 to (\d+).*journal 64M to (\d+)M/m;
		const checked = said.exec(await check('workers 4\n',
		    {groups: [g]}));
		assert.ok(checked);
		const d = await Daemon.start({env: cage({groups: [g]})});
		await d.logged(new RegExp(`connections 65536 to ${checked[1]}`));
		/* a reload finds nothing that has changed */
		assert.equal((await d.ctl('reload')).status, 0);
		assert.doesNotMatch(d.stderr, /needs a restart/);
		/* nor does an upgrade */
		assert.equal((await d.ctl('upgrade')).status, 0);
		assert.equal((await d.ctl('reload')).status, 0);
		assert.doesNotMatch(d.stderr, /needs a restart/);
		await d.stop();
	});
	inGroup(test, 'a queue above what output-memory is now is refused',
	    {memory: {max: 64 * MB}}, async (g) => {
		const d = await Daemon.start({env: cage({groups: [g]})});
		fs.writeFileSync(d.conf, 'queue 64M\n');
		const r = await d.ctl('reload');
		assert.equal(r.status, 1);
		assert.match(r.stdout + r.stderr,
		    /queue 67108864 is above \d+, which is output-memory/);
		await d.stop();
	});
	inGroup(test, 'what is named stays, and is warned of',
	    {memory: {max: 64 * MB}}, async (g) => {
		const conf = 'workers 2\njournal 64M\noutput-memory 256M\n';
		const text = await check(conf, {groups: [g]});
		assert.match(text, /^memory: the configuration needs \d+M when all of it is in use, the limit is 64M /m);
		assert.match(text, / journal 64M 72M, output-memory 256M 2\d\dM/);
		const d = await Daemon.start({conf, workers: 2,
		    env: cage({groups: [g]})});
		await d.logged(/memory: the configuration needs \d+M/);
		await d.stop();
	});
	inGroup(test, 'send buffers are bounded', {memory: {max: 64 * MB}},
	    async (g) => {
		const d = await Daemon.start({workers: 1,
		    env: cage({groups: [g]})});
		const c = await Client.user(d.port, 'slow');
		c.socket.pause();
		const talker = await Client.user(d.port, 'talker');
		for (let i = 0; i < 12; i++)
			await talker.text('/msg slow ' + 'x'.repeat(60000));
		await talker.quiet();
		/* what does not lie in the reader's own buffer waits in chatd */
		const ss = await run('ss', ['-tmnH', 'sport', '=', `:${d.port}`]);
		const bounds = [...ss.stdout.matchAll(/\btb(\d+)/g)].map((m) =>
		    Number(m[1]));
		assert.ok(bounds.length >= 2, ss.stdout);
		for (const b of bounds)
			assert.ok(b < 256 * 1024, ss.stdout);
		Client.dropAll();
		await d.stop();
	});
	test('nothing is said where there is room', async () => {
		assert.match(await check('connections 1000\n', {}),
		    /^\S+: OK\n$/);
	});
});

group('io_uring', null, (test) => {
	const methods = async (d) => (await d.json('show', 'workers'))
	    .map((w) => w.writes);

	test('show workers says how each sends', async () => {
		const d = await Daemon.start({workers: 2});
		await d.logged(/writes by io_uring/);
		assert.deepEqual(await methods(d), ['io_uring', 'io_uring']);
		const {stdout} = await d.ctl('show', 'workers');
		assert.match(stdout, / RELAYED WRITES +CURSOR/);
		assert.match(stdout, / io_uring +\d+ +\d+ worker\n$/);
		await d.stop();
		const plain = await Daemon.start({workers: 2,
		    conf: 'io-uring no\n'});
		assert.deepEqual(await methods(plain), ['sendmsg', 'sendmsg']);
		assert.doesNotMatch(plain.stderr, /have no io_uring/);
		await plain.stop();
	});
	test('no locked memory: one warning with the remedy', async () => {
		const d = await Daemon.start({env: cage({ulimit: '-l 0'})});
		const line = await d.logged(/workers have no io_uring/);
		assert.match(line, /4 of 4 workers .*LimitMEMLOCK.*io-uring no/);
		assert.deepEqual(await methods(d), Array(4).fill('sendmsg'));
		assert.equal((await d.ctl('restart-worker', '1')).status, 0);
		assert.equal(d.stderr.match(/no io_uring/g).length, 1);
		await d.stop();
	});
});
