/*
 * guests: plain connections on bare sockets, cheap enough for thousands, none
 * of which may be disconnected or left without service, whatever becomes of
 * workers and keepers.
 *
 *	const guests = await Guests.come(d, 200);
 *	await guests.kept();          // each stays open if its worker dies
 *	... faults ...
 *	await guests.served();        // each asks and is answered
 */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync, spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {BUILD} = require('./builds.js');
const {Client, OP} = require('../system/client.js');
const {Daemon, pause, processStat, run, until} = require('../system/daemon.js');

const AT_ONCE = 100;
const WAIT_MS = 30000; /* generous: the machine may be busy */
let names = 0;

class Guests {
	constructor(d) {
		this.d = d;
		this.all = [];
	}

	/* Connects n guests, under names of their own, so many at once. */
	static async come(d, n, atOnce = AT_ONCE) {
		const guests = new Guests(d);
		await guests.more(n, atOnce);
		return guests;
	}

	/* Connects n more; returns them. */
	async more(n, atOnce = AT_ONCE) {
		const some = [];
		while (some.length < n)
			some.push(...await Promise.all(Array.from(
			    {length: Math.min(atOnce, n - some.length)},
			    async () => {
				const name = `g${names++}`;
				const c = await Client.user(this.d.port, name, name);
				c.name = name;
				return c;
			})));
		this.all.push(...some);
		return some;
	}

	/* Who is not connected any more. */
	ended(some = this.all) {
		return some.filter((c) => c.ended || c.error || c.gone);
	}

	/* Nobody may have been disconnected. */
	whole(some = this.all) {
		const n = this.ended(some).length;
		assert.equal(n, 0, `${n} of ${some.length} disconnected`);
	}

	/* Each asks, and is answered. Returns the longest wait in ms. */
	async served(ms = WAIT_MS, some = this.all) {
		const begin = performance.now();
		const all = await Promise.allSettled(some.map((c) => this.ask(c, ms)));
		this.whole(some);
		const mute = all.filter((r) => r.status === 'rejected');
		assert.equal(mute.length, 0, `${mute.length} of ${some.length} are ` +
		    `not served: ${mute[0]?.reason?.message}`);
		return performance.now() - begin;
	}

	/* One asks for its rooms. */
	async ask(c, ms) {
		c.text('/rooms');
		for (;;) {
			const f = await c.frame(ms);
			if (f.opcode === OP.PING)
				c.send(OP.PONG, f.payload);
			else if (f.opcode === OP.TEXT &&
			    f.payload.toString().startsWith('* you are in'))
				return;
			else
				assert.notEqual(f.opcode, OP.CLOSE, 'closed');
		}
	}

	/* Waits until each connection of the daemon is kept, and all is as
	 * it must be in a quiet moment (soak/invariant.h). */
	kept(ms = WAIT_MS) {
		return invariant(this.d, ms);
	}

	/* Those at a worker. */
	async at(slot) {
		const map = new Map((await this.d.ask('show', 'connections'))
		    .map((c) => [c.device, c.worker]));
		return this.all.filter((c) => map.get(c.name) === slot);
	}

	/* All leave. */
	leave() {
		for (const c of this.all)
			c.drop();
		this.all = [];
	}
}

/* Waits until all is as it must be where nothing moves; fails with what is
 * not so. */
async function invariant(d, ms = WAIT_MS) {
	const r = await run(path.join(BUILD, 'fault/invariant'),
	    ['-f', d.conf, '-r', d.options.env?.CHATD_LEDGER_DIR ? '4' : '0',
		'-t', String(ms), String(d.pid)],
	    {limit: ms + 10000});
	assert.equal(r.status, 0, r.stdout + r.stderr);
}

/* A worker as chatctl shows it. */
async function row(d, slot) {
	return (await d.ask('show', 'workers'))[slot];
}

/* Waits until every worker runs, and has its keepers. */
async function whole(d, ms = WAIT_MS) {
	await until('all workers and keepers are there', async () =>
	    (await d.ask('show', 'workers')).every((w) =>
	    w.state === 'running' && w.keepers.every((pid) => pid !== 0)), ms);
}

/* Waits until a slot has a later worker, and it runs. */
async function replaced(d, slot, generation, ms = WAIT_MS) {
	return until(`worker ${slot} after generation ${generation}`, async () => {
		const w = await row(d, slot);
		return w.state === 'running' && w.generation > generation && w;
	}, ms);
}

/* Sends a signal; false if there is no such process any more. */
function signal(pid, name) {
	try {
		process.kill(pid, name);
		return true;
	} catch {
		return false;
	}
}

/* Stops a process and has it go on after ms. */
async function late(pid, ms) {
	signal(pid, 'SIGSTOP');
	await pause(ms);
	signal(pid, 'SIGCONT');
}

/* Stops a process so that no SIGCONT has it go on: it is traced. Returns what
 * lets it go on. Its parent hears of its death when the tracer does. */
async function hold(pid) {
	const tracer = spawn('/usr/bin/python3', ['-c', `
import ctypes, os, select, sys
c = ctypes.CDLL(None, use_errno=True)
SEIZE, INTERRUPT = 0x4206, 0x4207
for what in SEIZE, INTERRUPT:
    if c.ptrace(what, ${pid}, None, None) != 0:
        sys.exit('ptrace: error %d' % ctypes.get_errno())
print('held', flush=True)
while not select.select([sys.stdin], [], [], 0.01)[0]:
    try:
        os.waitpid(${pid}, os.WNOHANG | 0x40000000)
    except ChildProcessError:
        break
`], {stdio: ['pipe', 'pipe', 'inherit']});
	let said = '';
	tracer.stdout.on('data', (data) => said += data);
	await until(`process ${pid} is held`, () => said === 'held\n' &&
	    processStat(pid)?.state === 't');
	return () => tracer.stdin.end();
}

/* Has a slot's workers die of their own fault until it waits for the next. */
async function backOff(d, slots, times = 3, name = 'SIGSEGV') {
	const dead = new Set();
	for (let n = 0; n < times; n++)
		await until('the next workers die', async () => {
			const all = (await d.ask('show', 'workers'))
			    .filter((w) => slots.includes(w.slot));
			if (!all.every((w) => w.state === 'running' &&
			    !dead.has(w.pid)))
				return all.every((w) => w.state === 'waiting');
			for (const w of all) {
				dead.add(w.pid);
				signal(w.pid, name);
			}
			return true;
		}, WAIT_MS);
	if (times > 2)
		await until('they wait', async () =>
		    (await d.ask('show', 'workers')).every((w) =>
		    !slots.includes(w.slot) || w.pid === 0), WAIT_MS);
}

/* How many sockets a process has open. */
function sockets(pid) {
	return fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => {
		try {
			return fs.readlinkSync(`/proc/${pid}/fd/${fd}`)
			    .startsWith('socket:');
		} catch {
			return false;
		}
	}).length;
}

/* Sets a limit of a process that runs, as its own user, who may do that (root
 * may not everywhere). Returns what sets it back. */
function limit(pid, name, soft) {
	const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
	const id = (key) => new RegExp(`^${key}:\\t(\\d+)`, 'm').exec(status)[1];
	const as = process.geteuid() === 0 ? ['setpriv',
	    `--reuid=${id('Uid')}`, `--regid=${id('Gid')}`, '--clear-groups'] : [];
	const prlimit = (...args) => {
		const [file, ...rest] = [...as, 'prlimit', '--pid', String(pid),
		    ...args];
		return execFileSync(file, rest, {stdio: 'pipe'}).toString();
	};
	const before = prlimit(`--${name}`, '--output', 'SOFT', '--noheadings',
	    '--raw').trim();
	prlimit(`--${name}=${soft}:`);
	return Object.assign(() => prlimit(`--${name}=${before}:`), {before});
}

/* Builds the library that has notes refused (failnote.c); its path. */
function noteLibrary() {
	const library = path.join(BUILD, 'fault/failnote.so');
	fs.mkdirSync(path.dirname(library), {recursive: true});
	execFileSync(process.env.CC ?? 'gcc', ['-std=gnu11', '-D_GNU_SOURCE',
	    '-Wall', '-Wextra', '-O2', '-shared', '-fPIC', '-o', library,
	    path.join(__dirname, 'failnote.c')]);
	return library;
}

/* A daemon of which one process at a time can be refused to send a message with
 * descriptors: refuse(errno) returns what tells whether it was. */
async function refusing(options) {
	const flag = path.join(fs.mkdtempSync(path.join(os.tmpdir(),
	    'chatd-note-')), 'flag');
	fs.writeFileSync(flag, Buffer.alloc(4096));
	fs.chmodSync(path.dirname(flag), 0o755);
	fs.chmodSync(flag, 0o666); /* children have another user */
	process.on('exit', () => fs.rmSync(path.dirname(flag),
	    {recursive: true}));
	const fd = fs.openSync(flag, 'r+');
	const d = await Daemon.start({...options,
	    env: {LD_PRELOAD: noteLibrary(), FAILNOTE: flag}});
	const refuse = (number) => {
		fs.writeSync(fd, Buffer.from([number]), 0, 1, 0);
		return () => {
			const left = Buffer.alloc(1);
			fs.readSync(fd, left, 0, 1, 0);
			return left[0] === 0;
		};
	};
	return {d, refuse};
}

/* Declares tests that wait most of their time: they run side by side, as one,
 * unless some are chosen. */
function sideBySide(test, bodies, more) {
	const all = Object.entries(bodies);
	if (process.argv[2]) {
		for (const [title, body] of all)
			test(title, body, more);
		return;
	}
	test(all.map(([title]) => title).join('; '), async () => {
		const ends = await Promise.allSettled(all.map(([, body]) =>
		    body()));
		const bad = ends.flatMap((r, i) => r.status === 'rejected' ?
		    [`${all[i][0]}: ${r.reason?.stack ?? r.reason}`] : []);
		assert.equal(bad.length, 0, bad.join('\n'));
	}, more);
}

module.exports = {Guests, WAIT_MS, backOff, hold, invariant, late, limit, noteLibrary,
    refusing, replaced, row, sideBySide, signal, sockets, whole};
