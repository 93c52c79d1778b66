/*
 * Workers that may open no more files: what the master hands them arrives
 * nevertheless, or later; the master waits for nobody who cannot do what it
 * asked for.
 */
'use strict';

const {choose, BUILD} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const FILES = 100; /* descriptors of each process */
const FEW = 8;     /* fewer than a worker has open */
const MANY = 5000;
const WORKERS = 4;
const SECOND = 1;  /* the worker that dies */

/* A chatd that may open few files. */
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-limit-'));
process.on('exit', () => fs.rmSync(folder, {recursive: true, force: true}));
fs.chmodSync(folder, 0o755);
fs.symlinkSync(path.join(BUILD, 'chatctl'), path.join(folder, 'chatctl'));
fs.writeFileSync(path.join(folder, 'chatd'),
    '#!/bin/sh\n[ -z "$FILES" ] || ulimit -n "$FILES"\n' +
    `exec '${BUILD}/chatd' "$@"\n`,
    {mode: 0o755});
process.env.CHATD = path.join(folder, 'chatd');

const {group} = require('../system/suite.js');
const {Daemon} = require('../system/daemon.js');
const {Crowd, attempt, successors, talks, until} = require('./crowd.js');
const {whole} = require('./guests.js');

/* Workers of the user that this is: only those can be changed. */
const OWN = process.getuid() === 0 ? ['-u', 'root'] : [];

/* Changes how many files a process may open. */
function allow(pid, files) {
	execFileSync('prlimit', ['--pid', String(pid), `--nofile=${files}:`]);
}

/* How many files a process has open; 0: it is dead. */
function files(pid) {
	try {
		return fs.readdirSync(`/proc/${pid}/fd`).length;
	} catch {
		return 0;
	}
}

group('files', null, (test) => {
	test('all are used: new keepers come, with all sockets', async () => {
		const d = await Daemon.start({workers: WORKERS,
			env: {FILES}});
		const served = [];
		let n = 0;
		const knock = async () => {
			const all = await Promise.all(Array.from({length: 40}, () =>
			    attempt(d, `u${n++}`, 2000)));
			const good = all.filter((r) => r.status === 101);
			served.push(...good);
			return good.length;
		};
		while (await knock() > 0)
			;
		await whole(d);
		/* others knock on, and would take what a death gives back */
		let knocks = true;
		const knocking = (async () => {
			while (knocks)
				await knock();
		})();
		const before = await d.json('show', 'workers');
		for (const w of before)
			process.kill(w.keeper, 'SIGKILL');
		await until('other keepers with all sockets', async () =>
		    (await d.json('show', 'workers')).every((w, i) =>
		    w.keeper !== 0 && w.keeper !== before[i].keeper &&
		    files(w.keeper) >= w.connections)).finally(() =>
		    knocks = false);
		await knocking;
		for (const r of served)
			r.client.drop();
		await d.stop();
	}, {limit: 60000});

	test('a worker may open none: its keeper dies, then it', async () => {
		const d = await Daemon.start({workers: 1, args: OWN});
		const crowd = await Crowd.unbroken(d, 6);
		await whole(d);
		const {pid, keepers} = (await d.json('show', 'workers'))[0];
		allow(pid, FEW);
		process.kill(keepers[0], 'SIGKILL');
		await until('two keepers, one of them new', async () => {
			const now = (await d.json('show', 'workers'))[0].keepers;
			return now.every((k) => k !== 0) &&
			    !now.includes(keepers[0]) &&
			    now.includes(keepers[1]);
		});
		await talks(crowd);
		const before = await d.json('show', 'workers');
		process.kill(pid, 'SIGKILL');
		await successors(d, [0], before);
		await talks(crowd);
		assert.equal(crowd.broken, undefined);
		/* what comes new is accepted again */
		const {status, client} = await attempt(d, 'new', 2000);
		assert.equal(status, 101);
		client.drop();
		await crowd.leave();
		await d.stop();
	});

	test('an order to adopt is lost: nobody waits for it', async () => {
		const d = await Daemon.start({workers: 2, args: OWN});
		const crowd = await Crowd.unbroken(d, 12);
		for (let i = 0; i < 2; i++) {
			const before = await d.json('show', 'workers');
			process.kill(before[SECOND].pid, 'SIGSEGV');
			await successors(d, [SECOND], before);
		}
		const before = await d.json('show', 'workers');
		allow(before[0].pid, FEW);
		process.kill(before[SECOND].pid, 'SIGSEGV');
		/* after its back-off, in which a mover has its place */
		await until('the next worker runs', async () => {
			const w = (await d.json('show', 'workers'))[SECOND];
			return w.state === 'running' &&
			    w.generation > before[SECOND].generation + 1;
		});
		await talks(crowd);
		await d.logged(/ADOPT without its descriptor/);
		assert.equal(crowd.broken, undefined);
		await crowd.leave();
		await d.stop();
	});
});

/* As root, which no such limit binds, children are another user. */
const ROOT = process.getuid() === 0;

/* Changes how many processes a keeper's user may have, as far as it sees. */
function processes(pids, n) {
	for (const pid of pids)
		execFileSync('prlimit', ['--pid', String(pid), `--nproc=${n}:`],
		    ROOT ? {uid: 65534, gid: 65534} : {});
}

group('processes', null, (test) => {
	test('there is no room for one: it comes later', async () => {
		const d = await Daemon.start({workers: 2,
		    args: ROOT ? ['-u', 'nobody'] : []});
		const crowd = await Crowd.unbroken(d, 12);
		const w = (await d.json('show', 'workers'))[SECOND];
		processes(w.keepers, 1);
		process.kill(w.pid, 'SIGKILL');
		await until('some tries', () =>
		    d.stderr.split('a keeper cannot make it').length > 2);
		processes(w.keepers, 2000);
		await talks(crowd);
		/* with the notes that were sent for the first try */
		const next = (await d.json('show', 'workers'))[SECOND];
		assert.equal(next.generation, w.generation + 1);
		assert.equal(crowd.broken, undefined);
		await crowd.leave();
		await d.stop();
	});
});
