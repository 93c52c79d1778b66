/*
 * kill_points: at which of its kill points (include/base/kill_list.h) worker 0
 * of a daemon is to die, or the process that has another line.
 *
 *	const list = new List();
 *	const d = await Daemon.start({env: {CHATD_KILL_LIST: list.path}});
 *	const before = list.passes(/^conn\//);   // Map "7 conn/conn.c:123" -> n
 *	...
 *	list.arm(7);                             // at its next pass of that
 *
 * and all that die there: die(d, list, points, 'worker', 0).
 */
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {soon, until} = require('../system/daemon.js');

/* Of struct kill_list, base/kill_list.h. */
const LINES = 145, POINTS = 1024, FIRED = LINES * 16,
    SIGNAL = FIRED + LINES * 4, ENTRY = SIGNAL + LINES * 4, ENTRY_SIZE = 56,
    NAME = 40;
const COPIER = 80; /* the line of the process that copies memory */
const KEEPERS = 81; /* + n: that of both keepers of worker n */
const BURST = 18, BURST_MS = 10000; /* more deaths than 20 are too many */
const PASS_MS = 400;                /* a point is passed within */

/* The kill points of a daemon. */
class List {
	constructor() {
		this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'points-'));
		this.path = path.join(this.folder, 'list');
		this.fd = fs.openSync(this.path, 'w+');
		/* children with a program of their own open it themselves */
		fs.chmodSync(this.folder, 0o755);
		fs.chmodSync(this.path, 0o666);
		fs.ftruncateSync(this.fd, ENTRY + POINTS * ENTRY_SIZE);
	}

	read(at, len) {
		const b = Buffer.alloc(len);
		fs.readSync(this.fd, b, 0, len, at);
		return b;
	}

	word(at, value) {
		const b = Buffer.alloc(4);
		b.writeUInt32LE(value);
		fs.writeSync(this.fd, b, 0, 4, at);
	}

	/* How often each point of those files has been passed, by its place
	 * and name. */
	passes(files) {
		const all = new Map(), b = this.read(ENTRY, POINTS * ENTRY_SIZE);
		for (let k = 0; k < POINTS; k++) {
			const e = b.subarray(k * ENTRY_SIZE);
			const name = e.toString('latin1', 4, 4 + NAME)
			    .replace(/\0.*/s, '');
			if (e.readUInt32LE(0) === 2 && files.test(name))
				all.set(`${k} ${name}`, e.readBigUInt64LE(48));
		}
		return all;
	}

	/* Its next pass by the process with that line is the last; 0: of
	 * none. It dies of that signal, or is stopped by it. */
	arm(point, nth = 1, line = 0, signal = 'SIGKILL') {
		this.word(SIGNAL + line * 4, os.constants.signals[signal]);
		this.word(line * 16, point);
		this.word(line * 16 + 4, nth);
	}

	/* Where the one that follows on the next death of that line dies. */
	then(point, nth = 1, line = 0) {
		this.word(line * 16 + 8, point);
		this.word(line * 16 + 12, nth);
	}

	/* How often that process has died so. */
	fired(line = 0) {
		return this.read(FIRED + line * 4, 4).readUInt32LE(0);
	}

	remove() {
		fs.closeSync(this.fd);
		fs.rmSync(this.folder, {recursive: true});
	}
}

/* A process's row of `show processes`. */
async function row(d, kind, number = 0) {
	return (await d.json('show', 'processes')).find((p) =>
	    p.kind === kind && p.number === number);
}

/* It runs, as another process than that one: its row. */
function follows(d, kind, pid = 0, number = 0) {
	return until(`another ${kind}`, async () => {
		const r = await row(d, kind, number);
		return r?.pid && r.pid !== pid && r.state === 'running' && r;
	}, 20000);
}

/* Goes on once so many deaths are not too many for the master. */
async function apart(deaths) {
	deaths.push(performance.now());
	if (deaths.length >= BURST)
		await until('it may die again', () => performance.now() -
		    deaths.at(-BURST) > BURST_MS, 2 * BURST_MS);
}

/* The process with that line dies, by that signal, at each of those points
 * (keys of List.passes()) that it passes; how often it did. */
async function die(d, list, points, kind, line, signal) {
	const deaths = [];
	let fell = 0;
	for (const key of points) {
		const {pid} = await row(d, kind), n = list.fired(line);
		const fired = () => list.fired(line) > n;
		list.arm(parseInt(key, 10), 1, line, signal);
		if (!await soon(fired, PASS_MS)) {
			/* passed at the start alone, or by other processes */
			process.kill(pid, 'SIGKILL');
			await apart(deaths);
			await follows(d, kind, pid);
			await soon(fired, PASS_MS);
		}
		list.arm(0, 0, line);
		fell += fired();
		await follows(d, kind, pid);
		await follows(d, kind);
		await apart(deaths);
	}
	return fell;
}

module.exports = {COPIER, KEEPERS, List, apart, die, follows, row};
