/*
 * cage: a chatd within limits: of ulimit, and of control groups, which takes
 * root. Require it before daemon.js:
 *
 *	const {cage, Group} = require('./cage.js');
 *	const g = Group.make({memory: {max: 64 << 20}});   // null: why in Group.why
 *	const d = await Daemon.start({env: cage({groups: [g], ulimit: '-n 64'})});
 *	g.read('memory', 'oom_kill'); ...
 *	g.remove();
 *
 * The daemon's program is a script then that enters the groups, sets the limits
 * and becomes chatd.
 */
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const real = path.resolve(process.env.CHATD ??
    ['build/san/chatd', 'build/chatd'].map((f) => path.join(ROOT, f))
	.find((f) => fs.existsSync(f)) ?? 'build/chatd');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-cage-'));
process.on('exit', () => fs.rmSync(folder, {recursive: true, force: true}));
fs.chmodSync(folder, 0o755);
fs.symlinkSync(path.join(path.dirname(real), 'chatctl'),
    path.join(folder, 'chatctl'));
fs.writeFileSync(path.join(folder, 'chatd'), `#!/bin/bash
for g in $CAGE_GROUPS; do echo $$ >"$g/cgroup.procs" || exit 99; done
[ -z "$CAGE_ULIMIT" ] || ulimit $CAGE_ULIMIT || exit 99
exec '${real}' "$@"
`, {mode: 0o755});
process.env.CHATD = path.join(folder, 'chatd');

/* The environment of a daemon in these groups, with that ulimit(1). */
function cage({groups = [], ulimit = ''} = {}) {
	return {CAGE_GROUPS: groups.flatMap((g) => g.folders).join(' '),
	    CAGE_ULIMIT: ulimit};
}

/* Whether text says that a controller is there. */
const has = (text, name) => text.split(/[\s,]+/).includes(name);

/* Names of the same limit in version 2 and 1. */
const FILES = {
	memory: {max: ['memory.max', 'memory.limit_in_bytes']},
	pids: {max: ['pids.max', 'pids.max']},
	cpu: {max: ['cpu.max', 'cpu.cfs_quota_us']}
};

/* Where the group of a controller that this process is in has its folder:
 * {folder, unified}, or null. */
function own(controller) {
	const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n')
	    .map((line) => line.split(' '));
	for (const line of fs.readFileSync('/proc/self/cgroup', 'utf8')
	    .split('\n')) {
		const [, list, place] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
		const unified = list === '';
		if (!unified && !(list && has(list, controller)))
			continue;
		const m = mounts.find((f) => unified ? f[2] === 'cgroup2' :
		    f[2] === 'cgroup' && has(f[3], controller));
		if (!m)
			continue;
		const there = path.join(m[1], place);
		const top = fs.existsSync(there) ? there : m[1];
		if (!unified || has(fs.readFileSync(
		    path.join(top, 'cgroup.controllers'), 'utf8'), controller))
			return {folder: top, unified};
	}
	return null;
}

/* Makes a folder with a controller's files; a group of version 2 that has
 * processes gives its controllers to no child: then beside it. */
function makeFolder({folder: top, unified}, controller, name) {
	for (const parent of [top, path.dirname(top)]) {
		const made = path.join(parent, name);
		try {
			if (unified)
				fs.writeFileSync(path.join(parent,
				    'cgroup.subtree_control'), `+${controller}`);
		} catch {}
		try {
			fs.mkdirSync(made);
		} catch {
			continue;
		}
		if (fs.existsSync(path.join(made,
		    FILES[controller].max[unified ? 0 : 1])))
			return made;
		fs.rmdirSync(made);
	}
	return null;
}

let count = 0;

class Group {
	/* limits: {memory: {max}, pids: {max}, cpu: {max: microseconds in 100
	 * ms}}. null where it cannot be made; Group.why says why. */
	static make(limits) {
		const g = new Group();
		for (const [controller, {max}] of Object.entries(limits)) {
			const at = own(controller);
			const made = at && makeFolder(at, controller,
			    `chatd-test-${process.pid}-${++count}`);
			if (!made) {
				Group.why = at ? `no group below ${at.folder} ` +
				    `(root?)` : `no controller ${controller}`;
				g.remove();
				return null;
			}
			g.places[controller] = {folder: made, unified: at.unified};
			const file = FILES[controller].max[at.unified ? 0 : 1];
			fs.writeFileSync(path.join(made, file),
			    file === 'cpu.max' ? `${max} 100000` : String(max));
		}
		return g;
	}

	constructor() {
		this.places = {};
	}

	get folders() {
		return Object.values(this.places).map((p) => p.folder);
	}

	/* A file of a controller's folder. */
	file(controller, name) {
		return fs.readFileSync(path.join(this.places[controller].folder,
		    name), 'utf8');
	}

	/* Processes that were killed for memory. */
	get killed() {
		const text = this.file('memory', this.places.memory.unified ?
		    'memory.events' : 'memory.oom_control');
		return Number(/^oom_kill (\d+)/m.exec(text)[1]);
	}

	/* The most memory that was used at once, bytes. */
	get peak() {
		return Number(this.file('memory', this.places.memory.unified ?
		    'memory.peak' : 'memory.max_usage_in_bytes'));
	}

	/* Version 1 counts what sockets hold apart, and only on request. */
	countSockets(max) {
		if (this.places.memory.unified)
			return;
		fs.writeFileSync(path.join(this.places.memory.folder,
		    'memory.kmem.tcp.limit_in_bytes'), String(max));
	}

	/* The most that they held, bytes; version 2 has it in `peak`. */
	get socketPeak() {
		return this.places.memory.unified ? 0 : Number(this.file('memory',
		    'memory.kmem.tcp.max_usage_in_bytes'));
	}

	/* When no process is left in it. */
	remove() {
		for (const f of this.folders)
			try {
				fs.rmdirSync(f);
			} catch {}
		this.places = {};
	}
}

module.exports = {cage, Group, real};
