/*
 * Files, names and rights that are not to be had: an open() that takes 10 s, a
 * FIFO that nobody writes, a name server that is silent, a kernel that does not
 * let the master kill. The master and takeovers go on all the same.
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn, spawnSync} = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const {CHATD, Daemon, ENV, ROOT, patience, processChildren, processLives, run,
    until} = require('./daemon.js');
const {Client} = require('./client.js');
const {group} = require('./suite.js');

const NEAR_MS = 4900, FAR_MS = 8000; /* of a reader's 5 s, on a busy machine */
const ROOTS = process.getuid() === 0;

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-files-'));
process.on('exit', () => fs.rmSync(dir, {recursive: true, force: true}));
fs.chmodSync(dir, 0o755); /* workers read the page */

const slow = path.join(dir, 'slow.so');
const made = spawnSync('cc', ['-D_GNU_SOURCE', '-shared', '-fPIC', '-o', slow,
    path.join(ROOT, 'tests/fault/slow.c'), '-ldl'], {encoding: 'utf8'});
assert.equal(made.status, 0, made.stderr);

/* A folder of its own, and the environment in which what has SLOW in its name
 * is slow as long as `flag` exists. */
function scene(name, what = 'slow-') {
	const at = path.join(dir, name), flag = path.join(at, 'flag');
	fs.mkdirSync(at);
	return {at, flag, immortal: path.join(at, 'immortal'),
		file: (f, text) => (fs.writeFileSync(path.join(at, f), text),
		    path.join(at, f)),
		fifo: (f) => (spawnSync('mkfifo', [path.join(at, f)]),
		    path.join(at, f)),
		begin: () => fs.writeFileSync(flag, ''),
		end: () => fs.rmSync(flag, {force: true}),
		env: {LD_PRELOAD: slow, SLOW: what, SLOW_FLAG: flag,
		    SLOW_IMMORTAL: path.join(at, 'immortal')}};
}

/* A folder for a web page, the name of whose first file makes it slow. */
function page(s, text = 'mine\n') {
	const folder = path.join(s.at, 'slow-www');
	fs.mkdirSync(folder);
	for (const name of ['index.html', 'chatd.css', 'chatd.js'])
		fs.writeFileSync(path.join(folder, name), text);
	return folder;
}

/* What GET / answers. */
function get(d) {
	return new Promise((resolve, reject) => {
		http.get({port: d.port, host: '127.0.0.1', path: '/',
		    agent: false}, (r) => {
			let body = '';
			r.on('data', (data) => body += data);
			r.on('end', () => resolve(body));
		}).on('error', reject);
	});
}

/* Runs chatd until it ends by itself: {status, stderr, ms}. */
async function ends(args, options = {}) {
	const begin = Date.now();
	const r = await run(CHATD, args, {limit: 15000, ...options});
	return {...r, ms: Date.now() - begin};
}

/* Time since, to be judged. */
function within(begin, low, high) {
	const ms = Date.now() - begin;
	assert.ok(ms >= low && ms <= high * patience(),
	    `${ms} ms, not ${low} to ${high}`);
}

/* That the master answers and clients talk, while something else waits. */
async function serves(d, a, b, text) {
	const begin = Date.now();
	await d.ask('show', 'workers');
	a.text(text);
	for (const c of [a, b])
		assert.equal(await c.heard(), `a says: ${text}`);
	within(begin, 0, 1000);
}

/* A test of several parts that run at the same time: most of it is waiting. */
function together(test, title, parts) {
	test(title, async () => {
		const wrong = [];
		await Promise.all(Object.entries(parts).map(([name, part]) =>
		    part().catch((error) => {
			error.message = `${name}: ${error.message}`;
			wrong.push(error);
		})));
		if (wrong.length)
			throw wrong[0];
	});
}

/* Waits until a daemon has a reader at work. */
function reading(pid) {
	return until('a reader', () => processChildren(pid).some((p) => {
		try {
			return /reader/.test(fs.readFileSync(`/proc/${p}/cmdline`));
		} catch {
			return false;
		}
	}));
}

/* Two clients who have heard of each other. */
async function pair(d) {
	const a = await Client.user(d.port, 'a'), b = await Client.user(d.port, 'b');
	await b.quiet();
	return [a, b];
}

group('a slow disk', null, (test) => {
	test('all workers are killed: served again within a second', async () => {
		const s = scene('kill');
		const d = await Daemon.start({workers: 3, env: s.env,
		    conf: `webroot ${page(s)}\n`});
		const people = [];
		for (let i = 0; i < 6; i++)
			people.push(await Client.user(d.port, `u${i}`));
		s.begin();
		const was = await d.ask('show', 'workers');
		const begin = Date.now();
		for (const w of was)
			process.kill(w.pid, 'SIGKILL');
		people[0].text('hello');
		for (const c of people)
			assert.equal(await c.heard(), 'u0 says: hello');
		within(begin, 0, 1000);
		assert.equal(await get(d), 'mine\n');
		for (const c of people)
			await c.quiet();
		for (const c of people)
			await c.close();
		await d.clean();
		await d.stop();
	});

	test('a worker opens nothing before it serves', async () => {
		const s = scene('nothing');
		const d = await Daemon.start({workers: 2,
		    conf: `webroot ${page(s)}\n`,
		    env: {...s.env, SLOW_TELL: '1'}});
		await d.logged(/slow: \d+ opens /);
		const c = await Client.user(d.port, 'a');
		const was = await d.ask('show', 'workers');
		for (const w of was)
			process.kill(w.pid, 'SIGKILL');
		c.text('hello');
		assert.equal(await c.heard(), 'a says: hello');
		const is = await d.ask('show', 'workers');
		for (const w of [...was, ...is])
			assert.doesNotMatch(d.stderr,
			    new RegExp(`slow: ${w.pid} opens `));
		await c.close();
		await d.stop();
	});

	test('reload: the page reaches workers that live', async () => {
		const s = scene('page');
		const folder = page(s);
		const d = await Daemon.start({workers: 2,
		    conf: `webroot ${folder}\n`});
		const was = await d.ask('show', 'workers');
		assert.equal(await get(d), 'mine\n');
		fs.writeFileSync(path.join(folder, 'index.html'), 'new\n');
		assert.equal(await get(d), 'mine\n');
		assert.equal((await d.ctl('reload')).status, 0);
		for (let i = 0; i < 8; i++)
			await until('the new page', async () =>
			    await get(d) === 'new\n');
		fs.rmSync(path.join(folder, 'index.html'));
		assert.equal((await d.ctl('reload')).status, 0);
		await d.logged(/index\.html: No such file.*built in is served/);
		await until('the page that is built in', async () =>
		    /<!doctype html>/.test(await get(d)));
		assert.deepEqual((await d.ask('show', 'workers')).map((w) =>
		    w.pid), was.map((w) => w.pid));
		d.descriptors = fs.readdirSync(`/proc/${d.pid}/fd`).length;
		await d.ctl('reload');
		await d.clean();
		await d.stop();
	});

	const waits = {};
	/* At a reload: what hangs, and the words that it is told by. */
	for (const [what, conf, words, rc] of [
	    ['configuration', (s) => s.file('slow-main.conf', ''),
		/configuration not reloaded: reading .*slow-main\.conf takes longer than 5 s/, 1],
	    ['include', (s) => {
		s.file('slow-part.conf', 'echo yes\n');
		return s.file('main.conf', 'include slow-part.conf\n');
	    }, /configuration not reloaded: reading .*slow-part\.conf takes longer than 5 s/, 1],
	    ['page', (s) => s.file('main.conf', `webroot ${page(s)}\n`),
		/web page not reloaded: reading .*index\.html takes longer than 5 s/, 0]])
		waits[`reload: ${what}`] = async () => {
			const s = scene(`reload-${what}`);
			const d = await Daemon.start({workers: 2, env: s.env,
			    file: false, args: ['-f', conf(s)]});
			const [a, b] = await pair(d);
			s.begin();
			const begin = Date.now();
			const asked = d.ctl('reload');
			await reading(d.pid);
			await serves(d, a, b, 'one');
			process.kill((await d.ask('show', 'workers'))[0].pid,
			    'SIGKILL');
			await serves(d, a, b, 'two');
			const r = await asked;
			within(begin, NEAR_MS, FAR_MS);
			assert.equal(r.status, rc, JSON.stringify(r));
			assert.match(r.stdout + r.stderr, words);
			await d.logged(words);
			s.end();
			const again = await d.ctl('reload');
			assert.deepEqual([again.status, again.stderr], [0, '']);
			if (what === 'page')
				assert.equal(await get(d), 'mine\n');
			/* TERM while one is going on. */
			s.begin();
			process.kill(d.pid, 'SIGHUP');
			await reading(d.pid);
			const late = d.ctl('reload');
			await d.ask('show', 'workers');
			await d.stop();
			assert.equal((await late).status, 1);
		};

	waits['reload: one that is asked for meanwhile reads anew'] = async () => {
		const s = scene('queue');
		const file = s.file('slow-main.conf', '');
		const d = await Daemon.start({workers: 1, env: s.env, file: false,
		    args: ['-f', file]});
		s.begin();
		const first = d.ctl('reload');
		await reading(d.pid);
		fs.writeFileSync(file, 'message-size 100\n');
		s.end(); /* for the next one: the first waits for 10 s */
		const second = d.ctl('reload');
		assert.equal((await first).status, 1);
		const r = await second;
		assert.deepEqual([r.status, r.stderr], [0, '']);
		const c = await Client.user(d.port, 'a');
		c.text('x'.repeat(101));
		await c.closed(1009);
		await d.clean();
		await d.stop();
	};

	waits['reload: a reader that cannot be killed'] = async () => {
		const s = scene('immortal');
		const d = await Daemon.start({workers: 1, env: s.env, file: false,
		    args: ['-f', s.file('slow-main.conf', '')]});
		s.begin();
		fs.writeFileSync(s.immortal, '');
		const r = await d.ctl('reload');
		assert.equal(r.status, 1);
		await d.logged(/process that reads files .*cannot be killed/);
		s.end();
		assert.equal((await d.ctl('reload')).status, 0);
		fs.rmSync(s.immortal);
		await d.stop();
	};

	waits['upgrade: refused, the old program goes on'] = async () => {
		const s = scene('upgrade');
		const d = await Daemon.start({workers: 1, env: s.env, file: false,
		    args: ['-f', s.file('slow-main.conf', '')]});
		const [a, b] = await pair(d);
		s.begin();
		const asked = d.ctl('upgrade');
		await until('it rehearses', async () => (await d.ask('show',
		    'upgrade')).state === 'rehearsing');
		await serves(d, a, b, 'one');
		const r = await asked;
		assert.equal(r.status, 1);
		assert.match(r.stderr, /reading .*slow-main\.conf takes longer/);
		s.end();
		assert.equal((await d.ctl('upgrade')).status, 0);
		await serves(d, a, b, 'two');
		await d.stop();
	};

	together(test, 'reload and upgrade: what hangs is left behind', waits);
});

group('start', null, (test) => {
	const waits = {};
	waits['it is told'] = async () => {
		const s = scene('start');
		const main = s.file('slow-main.conf', '');
		s.file('slow-part.conf', '');
		const include = s.file('main.conf', 'include slow-part.conf\n');
		const empty = s.file('empty.conf', '');
		const socket = ['-d', '-w', '1', '-s', path.join(s.at, 'sock')];
		s.begin();
		const cases = [
		    [/reading .*slow-main\.conf takes longer than 5 s/,
			['-n', '-f', main]],
		    [/reading .*slow-main\.conf takes longer than 5 s/,
			[...socket, '-f', main, '-l', '127.0.0.1:0']],
		    [/reading .*slow-part\.conf takes longer than 5 s/,
			[...socket, '-f', include, '-l', '127.0.0.1:0']],
		    [/looking up slow-name\.example:0 takes longer than 5 s/,
			[...socket, '-f', empty, '-l', 'slow-name.example:0']]];
		if (ROOTS)
			cases.push([/looking up user slow-user takes longer than 5 s/,
			    [...socket, '-f', empty, '-l', '127.0.0.1:0', '-u',
			    'slow-user']]);
		await Promise.all(cases.map(async ([words, args]) => {
			const r = await ends(args, {env: {...ENV, ...s.env}});
			assert.match(r.stderr, words);
			assert.equal(r.status, 1);
			assert.ok(r.ms >= NEAR_MS && r.ms <= FAR_MS * patience(),
			    `${r.ms} ms`);
			assert.equal(r.stderr.trim().split('\n').length, 1,
			    r.stderr);
		}));
	};

	test('TERM is obeyed while a file hangs', async () => {
		const s = scene('term');
		s.begin();
		const child = spawn(CHATD, ['-d', '-f', s.file('slow-main.conf',
		    ''), '-s', path.join(s.at, 'sock')],
		    {env: {...ENV, ...s.env}, stdio: 'ignore'});
		const end = new Promise((resolve) => child.on('exit',
		    (status, signal) => resolve(signal)));
		const [reader] = await until('a reader', () => {
			const all = processChildren(child.pid);
			return all.length && all;
		});
		child.kill('SIGTERM');
		assert.equal(await end, 'SIGTERM');
		await until('no reader', () => !processLives(reader));
	});

	waits['a page: the one that is built in is served'] = async () => {
		const s = scene('start-page');
		const folder = page(s);
		s.begin();
		const d = await Daemon.start({workers: 1, env: s.env,
		    conf: `webroot ${folder}\n`});
		await d.logged(/reading .*index\.html takes longer than 5 s; the web page that is built in is served/);
		assert.match(await get(d), /<!doctype html>/);
		s.end();
		assert.equal((await d.ctl('reload')).status, 0);
		await until('the page', async () => await get(d) === 'mine\n');
		await d.stop();
	};
	together(test, 'what hangs is given up within 5 s', waits);

	test('FIFOs that nobody writes', async () => {
		const s = scene('fifo');
		const fifo = s.fifo('fifo.conf');
		const include = s.file('main.conf', '\ninclude fifo.conf\n');
		for (const args of [['-n'], ['-d', '-s', path.join(s.at, 'sock')]])
			for (const [file, words] of [
			    [fifo, /fifo\.conf: not a regular file\n$/],
			    [include, /main\.conf:2: include: fifo\.conf: not a regular file\n$/]]) {
				const r = await ends([...args, '-f', file]);
				assert.match(r.stderr, words);
				assert.equal(r.status, 78);
				assert.ok(r.ms < 3000 * patience(), `${r.ms} ms`);
			}
		const folder = path.join(s.at, 'www');
		fs.mkdirSync(folder);
		s.fifo('www/index.html');
		const d = await Daemon.start({workers: 1,
		    conf: `webroot ${folder}\n`});
		await d.logged(/index\.html: not a regular file; .*built in/);
		fs.rmSync(d.conf);
		spawnSync('mkfifo', [d.conf]);
		const r = await d.ctl('reload');
		assert.equal(r.status, 1);
		assert.match(r.stderr, /chatd\.conf: not a regular file/);
		await d.stop();
	});

	test('standard input and devices are read as before', async () => {
		for (const [text, status, words] of [
		    ['workers 1', 0, /^\/dev\/stdin: OK$/m],
		    ['nonsense 1', 78, /\/dev\/stdin:1: unknown key/]]) {
			const r = await run('sh', ['-c', `echo ${text} | ` +
			    `"${CHATD}" -n -f /dev/stdin`]);
			assert.match(r.stderr, words);
			assert.equal(r.status, status);
		}
		assert.equal((await ends(['-n', '-f', '/dev/null'])).status, 0);
	});
});

group('rights', null, (test) => {
	const NOT_ROOT = 'skip rights of root: needs root';

	/* Starts as root with fewer rights; what it says, in one line. */
	async function refused(words, wrapper, more = []) {
		const s = fs.mkdtempSync(path.join(dir, 'rights-'));
		const r = await run(wrapper[0], [...wrapper.slice(1), CHATD, '-d',
		    '-w', '4', '-l', '127.0.0.1:0', '-s', path.join(s, 'sock'),
		    '-f', '/dev/null', ...more]);
		assert.equal(r.status, 1, r.stderr);
		assert.match(r.stderr, words);
		assert.equal(r.stderr.trim().split('\n').length, 1, r.stderr);
	}
	const caps = (...names) => ['setpriv', '--bounding-set=-all' +
	    names.map((name) => `,+${name}`).join('')];

	if (!ROOTS) {
		test('are tried', async () => console.log(NOT_ROOT));
		return;
	}
	test('root without CAP_KILL', () => refused(
	    /root without CAP_KILL cannot stop workers.*give chatd CAP_KILL/,
	    caps('setuid', 'setgid', 'net_bind_service', 'chown')));
	test('root without any right', () => refused(
	    /cannot become user \w+: .*CAP_SETUID and CAP_SETGID, or use -u root/,
	    caps()));
	test('a namespace with one user', () => refused(
	    /cannot become user \w+: .*or use -u root/,
	    ['unshare', '-U', '-r']));
	test('they suffice for -u root', async () => {
		const s = scene('uroot');
		const sock = path.join(s.at, 'sock');
		for (const wrapper of [caps(), ['unshare', '-U', '-r']]) {
			const child = spawn(wrapper[0], [...wrapper.slice(1),
			    CHATD, '-d', '-w', '1', '-u', 'root', '-l',
			    '127.0.0.1:0', '-s', sock, '-f', '/dev/null'],
			    {env: ENV, stdio: ['ignore', 'ignore', 'pipe']});
			let out = '';
			child.stderr.on('data', (data) => out += data);
			const end = new Promise((resolve) =>
			    child.on('exit', resolve));
			await until('ready', () => /master: ready/.test(out))
			    .catch((error) => {
				throw new Error(`${error.message}: ${out}`);
			});
			child.kill('SIGTERM');
			assert.equal(await end, 0);
		}
	});
	test('TERM ends a master whose workers do not die', async () => {
		const s = scene('undying');
		const d = await Daemon.start({workers: 2, env: s.env});
		const [w] = await d.ask('show', 'workers');
		fs.writeFileSync(s.immortal, '');
		process.kill(w.pid, 'SIGSTOP');
		process.kill(w.keeper, 'SIGSTOP');
		await d.logged(/worker 0, which hung.* cannot be killed/);
		const before = d.stderr.match(/cannot be killed/g).length;
		const begin = Date.now();
		process.kill(d.pid, 'SIGTERM');
		await until('exit', () => d.end, 5000);
		within(begin, 0, 5000);
		assert.deepEqual(d.end, {status: 1, signal: null});
		assert.match(d.stderr, new RegExp(`worker 0 \\(pid ${w.pid}\\) ` +
		    'does not end: left behind'));
		assert.match(d.stderr, new RegExp(`keeper.*\\(pid ${w.keeper}\\)` +
		    '.*left behind'));
		assert.ok(before < 10, `told ${before} times`);
		await until('the kernel ends them', () =>
		    !processLives(w.pid) && !processLives(w.keeper));
	});
});
