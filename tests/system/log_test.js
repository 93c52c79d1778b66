/*
 * The log: whatever becomes of the file, pipe, disk or syslog that it goes to,
 * clients notice nothing, the start does not hang, USR1 and TERM are obeyed;
 * what is lost is told. One process alone writes it.
 */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync, spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {group} = require('./suite.js');
const {CHATD, Daemon, ENV, logProcess, patience, processChildren, processLives,
    processTitle, run, servants, until} = require('./daemon.js');
const {Client} = require('./client.js');

const ROOT = process.getuid() === 0;
const SLOW = path.join(os.tmpdir(), `chatd-slow-file-${process.pid}.so`);
const STRANGER = 61397; /* a user id that nobody has */
const NOTICE_MS = 2000; /* a client that waits so long has noticed something */
const started = new Set(); /* other programs than daemons */

process.on('exit', () => {
	fs.rmSync(SLOW, {force: true});
	for (const child of started)
		child.kill('SIGKILL');
});

/* A scratch folder that workers may enter, removed when the test is over. */
async function scratch(body) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
	fs.chmodSync(dir, 0o755);
	try {
		return await body(dir);
	} finally {
		fs.rmSync(dir, {recursive: true, force: true});
	}
}

/* Runs cat on a pipe; `said` is what it has read. */
function reader(file) {
	const child = spawn('cat', [file], {stdio: ['ignore', 'pipe', 'inherit']});
	child.said = '';
	child.stdout.on('data', (data) => child.said += data);
	started.add(child);
	return child;
}

/* Ends it, and waits until it is gone. */
async function readerEnd(child) {
	child.kill('SIGKILL');
	await until('cat has ended', () => child.exitCode !== null ||
	    child.signalCode !== null);
	started.delete(child);
}

/* A named pipe for the log. */
function fifo(dir) {
	const file = path.join(dir, 'fifo');
	execFileSync('mkfifo', [file]);
	return file;
}

function text(file) {
	return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
}

function has(file, pattern, ms) {
	return until(`${pattern} in ${file}`, () => pattern.test(text(file)), ms);
}

/* How many lines match, and how many are told to be lost. */
function count(log, pattern) {
	return log.split('\n').filter((l) => pattern.test(l)).length;
}
function lost(log) {
	return [...log.matchAll(/: (\d+) log lines were lost/g)]
	    .reduce((sum, m) => sum + Number(m[1]), 0);
}

/* A client comes, speaks and leaves, promptly. */
async function visit(d, name) {
	const begin = Date.now();
	const c = await Client.user(d.port, name);
	c.text('hello');
	assert.equal(await c.heard(), `${name} says: hello`);
	await c.close();
	assert.ok(Date.now() - begin < NOTICE_MS * patience(), `${name} noticed`);
}

/* So many come and go, each line of the log with their names of 50 bytes,
 * while a client that stays notices nothing; no process is replaced. */
async function crowd(d, n) {
	const before = servants(d.pid).sort();
	const steady = await Client.user(d.port, 'steady');
	for (let i = 0; i < n; i += 20) {
		const begin = Date.now();
		const all = await Promise.all(Array.from({length: 20}, (_, k) =>
		    Client.user(d.port, `u${i + k}` + 'x'.repeat(50))));
		all.forEach((c) => c.drop());
		steady.text('still there?');
		while (await steady.heard() !== 'steady says: still there?')
			;
		assert.ok(Date.now() - begin < 2 * NOTICE_MS * patience(), 'noticed');
	}
	await steady.close();
	assert.deepEqual(servants(d.pid).sort(), before);
	assert.doesNotMatch(d.stderr, /hung/);
}

/* The slow file, preloaded. */
function slow(env) {
	if (!fs.existsSync(SLOW))
		execFileSync(process.env.CC ?? 'gcc', ['-std=gnu11',
		    '-D_GNU_SOURCE', '-O2', '-shared', '-fPIC', '-o', SLOW,
		    path.join(__dirname, 'slow_file.c'), '-ldl']);
	return {...env, LD_PRELOAD: SLOW,
	    ASAN_OPTIONS: ENV.ASAN_OPTIONS + ':verify_asan_link_order=0'};
}

/* A daemon that logs to a file. */
function logging(file, options = {}) {
	return Daemon.start({workers: 2, ...options,
	    conf: `log-file "${file}"\nlog verbose\n${options.conf ?? ''}`});
}

/* A start that fails, and why. */
async function refused(file, reason, ...args) {
	await scratch(async (dir) => {
		const conf = path.join(dir, 'conf');
		fs.writeFileSync(conf, `log-file "${file}"\n`);
		const r = await run(CHATD, [...args, '-w', '1', '-l',
		    '127.0.0.1:0', '-s', path.join(dir, 's'), '-p',
		    path.join(dir, 'p'), '-f', conf]);
		assert.equal(r.status, 1, JSON.stringify(r));
		assert.match(r.stderr, reason);
	});
}

group('log process', null, (test) => {
	test('has its title and user, and nothing of the others', () =>
	    scratch(async (dir) => {
		const file = path.join(dir, 'log');
		const d = await logging(file);
		const pid = logProcess(d.pid);
		assert.equal(processTitle(pid), 'chatd: log');
		const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
		if (ROOT) {
			assert.doesNotMatch(status, /^[UG]id:.*\t0\b/m);
			assert.doesNotMatch(status, /^Groups:.*\b0\b/m);
			assert.notEqual(fs.statSync(file).uid, 0);
		}
		assert.doesNotMatch(fs.readFileSync(`/proc/${pid}/maps`, 'utf8'),
		    /memfd:chatd /);
		const fds = fs.readdirSync(`/proc/${pid}/fd`).map((fd) =>
		    fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
		assert.ok(fds.length <= 7, fds.join(' '));
		assert.ok(!fds.some((f) => /memfd|eventpoll/.test(f)));
		assert.ok(fds.includes(file));
		/* Nobody else has the file. */
		for (const p of [d.pid, ...servants(d.pid)])
			for (const fd of fs.readdirSync(`/proc/${p}/fd`))
				assert.notEqual(fs.readlinkSync(
				    `/proc/${p}/fd/${fd}`), file);
		await d.stop();
		assert.match(text(file), /master: stopped\n$/);
	    }));
	test('killed: it is replaced, what is said meanwhile is not lost', () =>
	    scratch(async (dir) => {
		const file = path.join(dir, 'log');
		const d = await logging(file);
		for (let i = 0; i < 3; i++) {
			const pid = await until('one', () => logProcess(d.pid));
			process.kill(pid, 'SIGKILL');
			await visit(d, `user${i}`);
			await has(file, new RegExp(`user${i} left`));
			await has(file, new RegExp(`log process \\(pid ${pid}\\) ` +
			    'died of SIGKILL'));
		}
		assert.equal(lost(text(file)), 0);
		await d.clean();
		/* Dead at the very stop: the last lines are written, too. */
		process.kill(await until('one', () => logProcess(d.pid)),
		    'SIGKILL');
		await d.stop();
		assert.match(text(file), /master: stopped\n$/);
	    }));
	test('stopped: nobody waits, and what is lost is counted', () =>
	    scratch(async (dir) => {
		const N = 3000, file = path.join(dir, 'log');
		const d = await logging(file);
		const pid = logProcess(d.pid);
		process.kill(pid, 'SIGSTOP');
		await crowd(d, N);
		process.kill(pid, 'SIGCONT');
		/* Until it reads as fast as they send, and both have told: the
		 * first lines after it may still be lost. */
		let k = 0;
		for (const round of ['first', 'last'])
			await until(`${round} lines of both workers`, async () => {
				await visit(d, `${round}${k++}`);
				return [0, 1].every((w) => new RegExp(
				    `worker ${w}: debug: ${round}\\d+ left`)
				    .test(text(file)));
			}, 20000);
		await has(file, new RegExp(`last${k - 1} left`));
		const log = text(file), n = 2 * N + 2 + 2 * k;
		const heard = count(log, /worker \d: debug: \S+ (joined|left)/);
		assert.ok(lost(log) > 0);
		assert.ok(Math.abs(heard + lost(log) - n) <= 4, /* of others */
		    `${heard} heard, ${lost(log)} lost of ${n}`);
		await d.stop();
	    }), {limit: 60000});
	test('the master is killed: the last lines are written', () =>
	    scratch(async (dir) => {
		const file = path.join(dir, 'log');
		const d = await logging(file);
		const family = processChildren(d.pid);
		await visit(d, 'alice');
		process.kill(d.pid, 'SIGKILL');
		await until('no process left', () => !family.some(processLives),
		    1500);
		assert.match(text(file), /alice left/);
		await d.kill();
	    }));
	test('an upgrade, with lines under way: each is there once', () =>
	    scratch(async (dir) => {
		const file = path.join(dir, 'log');
		const d = await logging(file);
		const pid = logProcess(d.pid);
		let n = 0, busy = true;
		const talk = (async () => {
			while (busy)
				await visit(d, `v${n++}.`);
		})();
		talk.catch(() => {}); /* told where it is awaited */
		const r = await d.ctl('upgrade');
		assert.equal(r.status, 0, r.stderr);
		await until('another one', () => {
			const now = logProcess(d.pid);
			return now && now !== pid && !processLives(pid);
		});
		busy = false;
		await talk;
		await d.stop();
		const log = text(file);
		for (let i = 0; i < n; i++)
			for (const what of ['joined', 'left'])
				assert.equal(count(log,
				    new RegExp(` v${i}\\. ${what}`)), 1, `${i}`);
		assert.equal(lost(log), 0);
		assert.doesNotMatch(log, /log process/);
	    }), {limit: 60000});
});

group('log-file, a named pipe', null, (test) => {
	test('its reader stops', () => scratch(async (dir) => {
		const file = fifo(dir), cat = reader(file);
		const d = await logging(file);
		cat.kill('SIGSTOP');
		await crowd(d, 1500);
		await d.logged(/it is not read/);
		process.kill(d.pid, 'SIGUSR1');
		await visit(d, 'alice');
		cat.kill('SIGCONT');
		await visit(d, 'bob');
		await until('it goes on', () => /bob left/.test(cat.said));
		/* And stops once more, for good. */
		cat.kill('SIGSTOP');
		await crowd(d, 1000);
		await d.stop();
		await readerEnd(cat);
	}), {limit: 60000});
	test('its reader stops, the log process is killed, USR1 and an upgrade ' +
	    'come: no line is lost', () => scratch(async (dir) => {
		const file = fifo(dir), cat = reader(file);
		const d = await logging(file);
		cat.kill('SIGSTOP');
		await crowd(d, 500);
		process.kill(logProcess(d.pid), 'SIGKILL');
		await visit(d, 'alice');
		process.kill(d.pid, 'SIGUSR1');
		await visit(d, 'bob');
		assert.equal((await d.ctl('upgrade')).status, 0);
		await visit(d, 'carol');
		cat.kill('SIGCONT');
		await until('carol', () => /carol left/.test(cat.said));
		for (let i = 0; i < 500; i++)
			for (const what of ['joined', 'left'])
				assert.match(cat.said,
				    new RegExp(`: u${i}x+ ${what}`));
		assert.match(cat.said, /alice left[^]*bob left/);
		assert.equal(lost(cat.said), 0);
		await d.stop();
		await readerEnd(cat);
	}), {limit: 60000});
	test('its reader is gone, another one comes', () => scratch(async (dir) => {
		const file = fifo(dir), one = reader(file);
		const d = await logging(file);
		await visit(d, 'alice');
		await until('alice', () => /alice left/.test(one.said));
		await readerEnd(one);
		process.kill(d.pid, 'SIGUSR1');
		await visit(d, 'bob');
		await d.logged(/nobody reads it/);
		const two = reader(file);
		await until('bob', () => /bob left/.test(two.said));
		await readerEnd(two);
		process.kill(d.pid, 'SIGUSR1');
		await visit(d, 'carol');
		await d.stop();
	}));
	test('it never has one', () => scratch(async (dir) => {
		const d = await logging(fifo(dir));
		await d.logged(/fifo: nobody reads it; its lines wait/);
		await crowd(d, 40);
		assert.equal(count(d.stderr, /nobody reads/), 1, d.stderr);
		/* Another log process, which may find that nobody reads, too. */
		process.kill(d.pid, 'SIGUSR1');
		await visit(d, 'alice');
		/* It comes late, and hears all from the beginning. */
		const cat = reader(path.join(dir, 'fifo'));
		await until('all', () => /alice left/.test(cat.said));
		assert.match(cat.said, /master: chatd 0/);
		await readerEnd(cat);
		await d.stop();
	}));
	if (ROOT)
		test('it never has one, and may not be read by chatd', () =>
		    scratch(async (dir) => {
			const file = fifo(dir);
			fs.chownSync(file, STRANGER, STRANGER);
			fs.chmodSync(file, 0o200);
			const d = await logging(file,
			    {user: {uid: STRANGER, gid: STRANGER}});
			await d.logged(/fifo: nobody reads it; its lines wait/);
			await visit(d, 'alice');
			const cat = reader(file);
			await until('alice', () => /alice left/.test(cat.said));
			await readerEnd(cat);
			await d.stop();
		    }));
	test('it never has one, as a daemon: TERM', () => scratch(async (dir) => {
		const conf = path.join(dir, 'conf'), pidfile = path.join(dir, 'p');
		fs.writeFileSync(conf, `log-file "${fifo(dir)}"\n`);
		const r = await run(CHATD, ['-w', '1', '-l', '127.0.0.1:0', '-s',
		    path.join(dir, 's'), '-p', pidfile, '-f', conf], {limit: 5000});
		assert.equal(r.status, 0, JSON.stringify(r));
		const pid = Number(fs.readFileSync(pidfile, 'utf8'));
		const family = [pid, ...processChildren(pid)];
		process.kill(pid, 'SIGTERM');
		await until('no process left', () => !family.some(processLives));
	}));
});

group('log-file that cannot be written', null, (test) => {
	test('/dev/full: told once a minute', async () => {
		const d = await logging('/dev/full');
		await d.logged(/log-file \/dev\/full: No space left on device/);
		const begin = Date.now();
		await crowd(d, 400);
		process.kill(d.pid, 'SIGUSR1');
		await until('some tries', async () => {
			await visit(d, 'alice');
			return Date.now() - begin > 2500;
		});
		/* The log process is another one after USR1. */
		assert.ok(count(d.stderr, /No space left/) <= 2, d.stderr);
		assert.ok(processLives(logProcess(d.pid)));
		await d.stop();
	});
	if (ROOT)
		test('a full disk that has room again: all is there or counted',
		    () => scratch(async (dir) => {
			const disk = path.join(dir, 'disk');
			fs.mkdirSync(disk);
			execFileSync('mount', ['-t', 'tmpfs', '-o',
			    'size=128k', 'tmpfs', disk]);
			try {
				const file = path.join(disk, 'log');
				const ballast = path.join(disk, 'ballast');
				fs.writeFileSync(ballast, Buffer.alloc(100 * 1024));
				const d = await logging(file);
				await crowd(d, 100);
				await crowd(d, 300);
				await d.logged(/No space left on device/);
				fs.rmSync(ballast);
				await has(file, /u299x+ left/);
				const log = text(file);
				for (const k of [7, 250, 299])
					assert.match(log,
					    new RegExp(`: u${k}x+ joined`));
				assert.equal(lost(log), 0);
				await d.stop();
			} finally {
				await Daemon.killAll();
				execFileSync('umount', ['-l', disk]);
			}
		}), {limit: 60000});
	test('writes of 10 s', () => scratch(async (dir) => {
		const file = path.join(dir, 'log');
		const d = await logging(file, {env: slow({SLOW_WRITE: file})});
		await crowd(d, 200);
		process.kill(d.pid, 'SIGUSR1');
		await visit(d, 'alice');
		const ms = await d.stop();
		assert.ok(ms < 5000 * patience(), `${ms} ms`);
	}));
	test('writes of 10 s, and the master is killed: nobody is left', () =>
	    scratch(async (dir) => {
		const file = path.join(dir, 'log');
		const d = await logging(file, {env: slow({SLOW_WRITE: file})});
		await visit(d, 'alice');
		const family = processChildren(d.pid);
		process.kill(d.pid, 'SIGKILL');
		await until('no process left', () => !family.some(processLives),
		    3000);
		await d.kill();
	    }));
	test('an open of 10 s: the start goes on, USR1 and TERM are obeyed', () =>
	    scratch(async (dir) => {
		const file = path.join(dir, 'log');
		const begin = Date.now();
		const d = await logging(file, {env: slow({SLOW_OPEN: file})});
		assert.ok(Date.now() - begin < 6000 * patience());
		await visit(d, 'alice');
		process.kill(d.pid, 'SIGUSR1');
		await visit(d, 'bob');
		const ms = await d.stop();
		assert.ok(ms < 5000 * patience(), `${ms} ms`);
	    }));
	test('opening it anew fails: the log goes on where it was', () =>
	    scratch(async (dir) => {
		const sub = path.join(dir, 'sub'), away = path.join(dir, 'away');
		fs.mkdirSync(sub);
		const file = path.join(sub, 'log'), old = path.join(away, 'log');
		const d = await logging(file);
		await has(file, /ready/);
		fs.renameSync(sub, away);
		process.kill(d.pid, 'SIGUSR1');
		await has(old, /error: log-file .*: No such file or directory; the log goes on/);
		await visit(d, 'alice');
		await has(old, /alice left/);
		fs.mkdirSync(sub);
		process.kill(d.pid, 'SIGUSR1');
		await has(file, /log reopened/);
		await visit(d, 'bob');
		await has(file, /bob left/);
		assert.doesNotMatch(text(old), /bob/);
		await d.stop();
	    }));
	test('twice USR1: what is renamed between them is left alone', () =>
	    scratch(async (dir) => {
		const file = path.join(dir, 'log');
		const d = await logging(file);
		for (let i = 0; i < 5; i++) {
			await has(file, /master: /);
			fs.renameSync(file, `${file}.${i}`);
			process.kill(d.pid, 'SIGUSR1');
			process.kill(d.pid, 'SIGUSR1');
		}
		await has(file, /log reopened/);
		await visit(d, 'alice');
		await has(file, /alice left/);
		await d.clean();
		await d.stop();
	    }));
	test('a link, and a file with two names: refused', () =>
	    scratch(async (dir) => {
		const there = path.join(dir, 'there');
		fs.writeFileSync(there, '');
		fs.symlinkSync(there, path.join(dir, 'link'));
		await refused(path.join(dir, 'link'), /symbolic link/, '-d');
		await refused('/nonexistent/log', /No such file/, '-d');
		await refused('/nonexistent/log', /No such file/);
		if (!ROOT)
			return;
		fs.linkSync(there, path.join(dir, 'two'));
		await refused(there, /Too many links/, '-d');
	    }));
});

group('log-file, a standard stream', null, (test) => {
	for (const [name, stream] of [['/dev/stdout', 1], ['/dev/stderr', 2],
	    ['/proc/self/fd/1', 1], ['/dev/fd/2', 2], ['link', 1]])
		for (const kind of ['pipe', 'file'])
			test(`${name}, a ${kind}`, () => scratch(async (dir) => {
				const out = path.join(dir, 'out');
				const file = name === 'link' ?
				    path.join(dir, 'access.log') : name;
				if (name === 'link')
					fs.symlinkSync('/dev/stdout', file);
				const cat = kind === 'pipe' && (fifo(dir),
				    reader(path.join(dir, 'fifo')));
				const fd = fs.openSync(cat ?
				    path.join(dir, 'fifo') : out, 'w');
				const streams = ['ignore', 'pipe', 'pipe'];
				streams[stream] = fd;
				const d = await logging(file, {streams});
				fs.closeSync(fd);
				const said = () => cat ? cat.said : text(out);
				await visit(d, 'alice');
				await until('alice', () =>
				    /alice left/.test(said()));
				process.kill(d.pid, 'SIGUSR1');
				await until('reopened', () =>
				    /log reopened/.test(said()));
				await d.stop();
				await until('the end', () =>
				    /master: stopped\n$/.test(said()));
				assert.equal(d.stderr, '', 'the other stream');
				if (cat)
					await readerEnd(cat);
			}));
	test('without -d: refused', async () => {
		await refused('/dev/stdout', /daemon has no standard streams/);
		await refused('/proc/self/fd/2', /daemon has no standard streams/);
	});
	test('stderr, a pipe whose reader stops', () => scratch(async (dir) => {
		const file = fifo(dir), cat = reader(file);
		const fd = fs.openSync(file, 'w');
		const d = await Daemon.start({workers: 2, conf: 'log verbose\n',
		    streams: ['ignore', 'pipe', fd]});
		fs.closeSync(fd);
		cat.kill('SIGSTOP');
		await crowd(d, 1500);
		await d.stop();
		await readerEnd(cat);
	}), {limit: 60000});
});
