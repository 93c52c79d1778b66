/*
 * daemon: starts a chatd for a test, asks it questions, and judges what it
 * leaves behind.
 *
 *	const d = await Daemon.start({conf: 'echo yes\n', workers: 4});
 *	... d.port, d.pid, d.socket (control), d.dir (scratch folder)
 *	await d.json('show', 'users')     // chatctl -j show users, parsed
 *	await d.clean()                   // nobody connected, no descriptor leaked
 *	await d.stop()                    // TERM; status 0, no process left
 *
 * CHATD chooses the binary (build/san/chatd, else build/chatd); chatctl is the
 * one beside it. Readiness is a connection that succeeds. Whatever happens,
 * Daemon.killAll() leaves no process behind.
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn} = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const CHATD = path.resolve(process.env.CHATD ??
    ['build/san/chatd', 'build/chatd'].map((f) => path.join(ROOT, f))
	.find((f) => fs.existsSync(f)) ?? 'build/chatd');
const CHATCTL = path.join(path.dirname(CHATD), 'chatctl');
const START_MS = 15000; /* sanitizers may take 5 s to say hello */
const STOP_MS = 5000;   /* after TERM */
const PORTS_BEGIN = 10000, PORTS_END = 32000;
const ORPHAN_MS = 1000; /* a worker may outlive its master so long */
const REPORTS = ['ERROR: AddressSanitizer', 'runtime error:',
    'LeakSanitizer', 'AddressSanitizer:DEADLYSIGNAL'];
const ENV = {
	...process.env,
	ASAN_OPTIONS: 'detect_leaks=1:handle_abort=1',
	UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1'
};
delete ENV.NOTIFY_SOCKET;

const alive = new Set(); /* daemons that have not been stopped */

/* Waits; only for polling with a limit, never for luck. */
function pause(ms) {
	return new Promise((resolve) => setTimeout(resolve, ms));
}

/*
 * By what to multiply a limit of time: 1, but 3 on a machine that is busy with
 * other things than this test.
 */
function patience() {
	return os.loadavg()[0] > os.availableParallelism() ? 3 : 1;
}

/* Polls, for at most so long, until ask() returns something true; returns what it
 * has returned last. */
async function soon(ask, ms) {
	const limit = Date.now() + ms;
	for (;;) {
		const got = await ask();
		if (got || Date.now() >= limit)
			return got;
		await pause(10);
	}
}

/* Polls until ask() returns something true; returns it. The limit is for a machine
 * that is not busy. */
async function until(what, ask, ms = 5000) {
	const got = await soon(ask, ms) ||
	    patience() > 1 && await soon(ask, (patience() - 1) * ms);
	if (!got)
		throw new Error(`not within ${ms} ms: ${what}`);
	return got;
}

/* Listens there: the server; null if another has it. */
function listens(at) {
	return new Promise((resolve, reject) => {
		const server = net.createServer();
		server.on('error', (error) => error.code === 'EADDRINUSE' ?
		    resolve(null) : reject(error));
		server.listen(at, () => resolve(server.unref()));
	});
}

/*
 * A TCP port that is free, and that no other test gets while this process lives:
 * it holds the abstract socket named after it, as fault/soak/daemon.c does. The
 * kernel takes ports of outgoing connections from a range above.
 */
async function freePort() {
	const [above] = fs.readFileSync(
	    '/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split('\t');
	const end = above > PORTS_BEGIN + 1000 ? Math.min(above, PORTS_END) :
	    PORTS_END;
	for (;;) {
		const port = crypto.randomInt(PORTS_BEGIN, end);
		if (!await listens(`\0chatd-test-port-${port}`.padEnd(108, '\0')))
			continue;
		const server = await listens(port);
		if (!server)
			continue;
		await new Promise((resolve) => server.close(resolve));
		return port;
	}
}

/* Whether a connection to that port succeeds now. */
function answers(port, host = '127.0.0.1') {
	return new Promise((resolve) => {
		const socket = net.connect({port, host});
		socket.on('connect', () => {
			socket.destroy();
			resolve(true);
		});
		socket.on('error', () => resolve(false));
	});
}

/* /proc/PID/stat as {state, parent}, null when there is no such process. */
function processStat(pid) {
	try {
		const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
		const rest = text.slice(text.lastIndexOf(')') + 2).split(' ');
		return {state: rest[0], parent: Number(rest[1])};
	} catch {
		return null;
	}
}

/* Whether a process lives; PID 1 may reap an orphan late. */
function processLives(pid) {
	const stat = processStat(pid);
	return stat !== null && stat.state !== 'Z' && stat.state !== 'X';
}

/* The children of a process that live. */
function processChildren(pid) {
	return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))
	    .map(Number).filter((p) => {
		const stat = processStat(p);
		return stat?.parent === pid && stat.state !== 'Z';
	});
}

/* What ps shows of a process. */
function processTitle(pid) {
	return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8')
	    .replace(/\0.*$/s, '').trim();
}

/* The children of a master whose titles match. */
function processTitled(pid, pattern) {
	return processChildren(pid).filter((p) => {
		try {
			return pattern.test(processTitle(p));
		} catch {
			return false; /* it has just ended */
		}
	});
}

/* Its log process; undefined if there is none just now. */
function logProcess(pid) {
	return processTitled(pid, /^chatd: log$/)[0];
}

/* Its workers and keepers. */
function servants(pid) {
	return processTitled(pid, /^chatd: (worker|keeper) /);
}

/* The number of descriptors that a process has open. */
function processDescriptors(pid) {
	return fs.readdirSync(`/proc/${pid}/fd`).length;
}

/* What the descriptors of a process are, for a message. */
function processDescriptorList(pid) {
	return fs.readdirSync(`/proc/${pid}/fd`).map((fd) => {
		try {
			return fd + '=' + fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
		} catch {
			return fd;
		}
	}).join(' ');
}

/* Runs a program to its end: {status, signal, stdout, stderr}. */
function run(file, args, options = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(file, args, {stdio: ['ignore', 'pipe', 'pipe'],
		    env: ENV, ...options});
		const out = {stdout: '', stderr: ''};
		child.stdout.on('data', (data) => out.stdout += data);
		child.stderr.on('data', (data) => out.stderr += data);
		const timer = setTimeout(() => {
			child.kill('SIGKILL');
			reject(new Error(`${file} ${args.join(' ')} hangs; ` +
			    out.stdout + out.stderr));
		}, options.limit ?? 15000);
		child.on('error', reject);
		child.on('close', (status, signal) => {
			clearTimeout(timer);
			resolve({status, signal, ...out});
		});
	});
}

/* Throws if a sanitizer complained in text. */
function checkReports(text) {
	for (const report of REPORTS)
		if (text.includes(report))
			throw new Error('sanitizer report:\n' + text.slice(
			    Math.max(0, text.indexOf(report) - 200)));
}

class Daemon {
	/*
	 * options: conf (text of chatd.conf), workers (4; false: no -w), args (more of them),
	 * env, program (CHATD), listen (false: no -l), ready (false: do not wait), file (false:
	 * no -f), port, user ({uid, gid} to start as), closed (what a shell
	 * writes to close descriptors, '<&- 2>&-'), streams (stdio of spawn()).
	 */
	static async start(options = {}) {
		const d = new Daemon(options);
		d.port = options.port ?? await freePort();
		d.launch();
		if (options.ready !== false)
			await d.ready().catch(async (error) => {
				await d.kill();
				throw error;
			});
		return d;
	}

	constructor(options) {
		this.options = options;
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
		if (options.user)
			fs.chownSync(this.dir, options.user.uid, options.user.gid);
		this.socket = path.join(this.dir, 'control.sock');
		this.conf = path.join(this.dir, 'chatd.conf');
		fs.writeFileSync(this.conf, options.conf ?? '');
		this.stderr = '';
		this.stopped = false;
	}

	/* Spawns the daemon, in the foreground, its log on a pipe to us. */
	launch() {
		const {options} = this;
		const args = ['-d'];
		const program = options.program ?? CHATD;
		if (!fs.existsSync(program))
			throw new Error(`there is no ${program}: build it first`);
		if (options.workers !== false)
			args.push('-w', String(options.workers ?? 4));
		if (options.listen !== false)
			args.push('-l', `127.0.0.1:${this.port}`);
		args.push('-s', this.socket);
		if (options.file !== false)
			args.push('-f', this.conf);
		args.push(...options.args ?? []);
		const [file, ...first] = options.closed === undefined ?
		    [program] : ['sh', '-c', `exec "$@" ${options.closed}`,
			'sh', program];
		this.child = spawn(file, [...first, ...args], {
			stdio: options.streams ?? ['ignore', 'pipe', 'pipe'],
			env: {...ENV, ...options.env}, ...options.user
		});
		this.pid = this.child.pid;
		alive.add(this);
		for (const stream of [this.child.stdout, this.child.stderr])
			stream?.on('data', (data) => this.stderr += data);
		this.exited = new Promise((resolve) => {
			this.child.on('error', (error) =>
			    resolve({status: -1, signal: error.code}));
			this.child.on('exit', (status, signal) =>
			    resolve({status, signal}));
		});
		this.exited.then((end) => this.end = end);
		/* 'close' comes when the last process has closed the pipes. */
		this.silent = new Promise((resolve) =>
		    this.child.on('close', resolve));
	}

	/* Waits until a connection succeeds, then notes the normal state. */
	async ready() {
		await until('a connection that succeeds', async () => {
			if (this.end)
				throw new Error(`chatd left with ` +
				    JSON.stringify(this.end) + ':\n' + this.stderr);
			return answers(this.port);
		}, START_MS);
		this.workers = processChildren(this.pid);
		this.descriptors = processDescriptors(this.pid);
	}

	/* Puts a copy of a chatd into the scratch folder, with the programs of its
	 * children beside it; its path. */
	copy(name, from = CHATD) {
		const file = path.join(this.dir, name);
		const to = path.join(this.dir, 'libexec/chatd');
		const there = ['libexec', '../libexec'].map((f) => path.join(
		    path.dirname(from), f, 'chatd')).find((f) => fs.existsSync(f));
		fs.mkdirSync(to, {recursive: true});
		for (const child of ['chatd-child', 'chatd-handshaker'])
			if (fs.existsSync(path.join(there, child)))
				fs.copyFileSync(path.join(there, child),
				    path.join(to, child));
		fs.copyFileSync(from, file);
		fs.chmodSync(file, 0o755);
		return file;
	}

	/* chatctl with this daemon's socket; see run(). */
	ctl(...args) {
		return run(CHATCTL, ['-s', this.socket, ...args]);
	}

	/* chatctl -j ...: what it printed, parsed. */
	async json(...args) {
		const r = await this.ctl('-j', ...args);
		assert.equal(r.status, 0, `chatctl -j ${args.join(' ')}: ` +
		    `status ${r.status} ${r.signal ?? ''} ${r.stderr}`);
		try {
			return JSON.parse(r.stdout);
		} catch (error) {
			throw new Error(`${error.message} in ${r.stdout}`);
		}
	}

	/*
	 * json() without a process of its own (include/master/control.h has the
	 * protocol), for questions that come after every test.
	 */
	ask(...args) {
		const text = Buffer.from(['json', ...args, ''].join('\0'));
		const length = Buffer.alloc(4);
		if (os.endianness() === 'LE')
			length.writeUInt32LE(text.length);
		else
			length.writeUInt32BE(text.length);
		return new Promise((resolve, reject) => {
			const socket = net.connect(this.socket);
			let reply = '';
			socket.setEncoding('utf8');
			const ms = 5000 * patience();
			socket.setTimeout(ms, () => socket.destroy(
			    new Error(`control: no answer in ${ms} ms`)));
			socket.on('error', reject);
			socket.on('data', (data) => reply += data);
			socket.on('end', () => {
				socket.end();
				if (reply[0] !== '0' || reply.at(-1) !== '\0')
					reject(new Error(`control: ${reply}`));
				else
					resolve(JSON.parse(reply.slice(1, -1)));
			});
			socket.write(Buffer.concat([length, text]));
		});
	}

	/* The connections that each worker has, by slot. */
	async balance() {
		return (await this.json('show', 'workers'))
		    .map((w) => w.connections);
	}

	/* Waits until the log has a line that matches; returns it. */
	logged(pattern, ms = 5000) {
		return until(`${pattern} in the log`, () =>
		    this.stderr.split('\n').find((line) => pattern.test(line)), ms);
	}

	/* At n takeovers or more, which the log tells of, no connection was
	 * lost or closed for corrupted records. */
	async adoptedAll(n) {
		const line = new RegExp('adopted (\\d+) connections in \\d+ ms ' +
		    '\\(closed (\\d+), lost (\\d+), corrupted (\\d+), ', 'g');
		const all = await until(`${n} takeovers in the log`, () => {
			const found = [...this.stderr.matchAll(line)];
			return found.length >= n && found;
		}).catch((error) => {
			throw new Error(`${error.message}:\n` +
			    this.stderr.slice(-3000));
		});
		for (const [what, , , lost, corrupted] of all)
			assert.ok(lost === '0' && corrupted === '0', what);
	}

	/* Whether the daemon is as it was before the clients came. */
	async clean() {
		checkReports(this.stderr);
		assert.ok(!this.end, 'chatd left: ' + JSON.stringify(this.end));
		let seen = [];
		await until('no connection', async () => {
			seen = await this.ask('show', 'connections');
			return seen.length === 0;
		}).catch((error) => {
			throw new Error(error.message + ': ' +
			    JSON.stringify(seen).slice(0, 500));
		});
		await until('empty presence', async () => {
			seen = await this.ask('show', 'users');
			return seen.length === 0;
		}).catch((error) => {
			throw new Error(error.message + ': ' +
			    JSON.stringify(seen).slice(0, 500));
		});
		await until(`${this.descriptors} descriptors in the master`, () =>
		    processDescriptors(this.pid) === this.descriptors, 3000)
		    .catch((error) => {
			throw new Error(`${error.message}: ` +
			    processDescriptorList(this.pid));
		});
	}

	/*
	 * Ends the daemon by a signal (null: it is leaving already) and judges
	 * its end: status, time, processes left, sanitizer reports.
	 */
	async stop(signal = 'SIGTERM', ms = STOP_MS) {
		const family = [this.pid, ...processChildren(this.pid)];
		const begin = Date.now();
		try {
			if (signal)
				process.kill(this.pid, signal);
			await until(`exit after ${signal}`, () => this.end, ms);
			assert.deepEqual(this.end, {status: 0, signal: null},
			    'exit status\n' + this.stderr.slice(-3000));
			await until('no process left', () =>
			    !family.some(processLives), ORPHAN_MS)
			    .catch((error) => {
				throw new Error(error.message + ': ' +
				    family.filter(processLives));
			});
			await until('log closed', () => !this.child.stderr ||
			    this.child.stderr.destroyed ||
			    this.child.stderr.readableEnded);
			checkReports(this.stderr);
			assert.ok(!fs.existsSync(this.socket),
			    'the control socket is left behind');
		} finally {
			await this.kill();
		}
		return Date.now() - begin;
	}

	/* Removes whatever is left, judging nothing. */
	async kill() {
		const family = [...processChildren(this.pid),
		    ...this.workers ?? []];
		for (const pid of [this.pid, ...family]) {
			/* A worker's parent is the master, or nobody any more. */
			const parent = processStat(pid)?.parent;
			if (pid === this.pid ? !this.end :
			    parent === this.pid || parent === 1)
				try {
					process.kill(pid, 'SIGKILL');
				} catch {}
		}
		await Promise.race([this.silent, pause(2000)]);
		alive.delete(this);
		fs.rmSync(this.dir, {recursive: true, force: true});
	}

	/* Ends every daemon that a failed test has left running. */
	static async killAll() {
		for (const d of [...alive])
			await d.kill();
	}
}

module.exports = {Daemon, CHATD, CHATCTL, ENV, ROOT, answers, checkReports,
    freePort, logProcess, patience, pause, processChildren,
    processDescriptors, processLives, processStat, processTitle, processTitled,
    run, servants, soon, until};
