/*
 * A disk that does not answer, and libraries that are garbage, keep nobody
 * waiting: when all workers are killed, or all other children, the next ones
 * serve within a second. The daemon has a mount namespace of its own, in which
 * libevent's file is replaced, and each open() and each execution of a file takes
 * 10 s (slow_open.c).
 */
'use strict';

const {choose, BUILD, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {execFileSync, spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const SLOW_MS = 10000;
const SERVED_MS = 1000; /* from the deaths until all are answered */
const FAST_MS = 800;    /* what takes longer is not fast */
const PEOPLE = 12;
const ROUNDS = LONG ? 5 : 2;
const DISKS = /^(ext[234]|xfs|btrfs|overlay|tmpfs|9p|virtiofs|zfs|f2fs)$/;

/* Which chatd: one with more kinds of children. */
const KINDS = path.resolve(process.env.KINDS ?? path.join(BUILD, 'kinds'));
const REAL = path.join(KINDS, 'sbin/chatd');

/* A chatd in a mount namespace. */
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-disk-'));
process.on('exit', () => fs.rmSync(folder, {recursive: true, force: true}));
fs.chmodSync(folder, 0o755);
fs.symlinkSync(path.join(BUILD, 'chatctl'), path.join(folder, 'chatctl'));
fs.writeFileSync(path.join(folder, 'chatd'),
    `#!/bin/sh\nexec unshare -m --propagation private '${REAL}' "$@"\n`,
    {mode: 0o755});
process.env.CHATD = path.join(folder, 'chatd');

const {group} = require('../system/suite.js');
const {Daemon, patience} = require('../system/daemon.js');
const {Crowd, until} = require('./crowd.js');

const SLOW = path.join(folder, 'slow_open');

/* What is run beside the daemon, in its namespace. */
function inside(d, ...args) {
	return ['-m', '-t', String(d.pid), ...args];
}

/* Builds slow_open. */
function build() {
	execFileSync(process.env.CC ?? 'gcc', ['-std=gnu11', '-D_GNU_SOURCE',
	    '-Wall', '-Wextra', '-O2', '-o', SLOW,
	    path.join(__dirname, 'slow_open.c')]);
}

/* Replaces libevent's file by garbage: what executes a program that is linked
 * with it fails. */
function spoil(d) {
	const [, library] = execFileSync('ldd', [REAL], {encoding: 'utf8'})
	    .match(/libevent_core\S* => (\S+)/);
	const garbage = path.join(folder, 'garbage');
	fs.writeFileSync(garbage, 'garbage\n'.repeat(1000));
	execFileSync('nsenter', inside(d, 'mount', '--bind', garbage,
	    fs.realpathSync(library)));
	assert.throws(() => execFileSync('nsenter', inside(d, REAL, '-V'),
	    {stdio: 'pipe'}), /libevent_core/);
}

/* The disk as it is from now on: what is opened there, and end(). */
async function slow(d) {
	const mounts = fs.readFileSync(`/proc/${d.pid}/mounts`, 'utf8')
	    .split('\n').map((line) => line.split(' '))
	    .filter(([, , type]) => DISKS.test(type)).map(([, at]) => at);
	assert.ok(mounts.includes('/'), mounts);
	const child = spawn('nsenter', inside(d, SLOW, String(SLOW_MS),
	    ...mounts), {stdio: ['pipe', 'pipe', 'inherit']});
	const disk = {text: '', end: () => {
		child.stdin.end();
		return new Promise((resolve) => child.on('exit', resolve));
	}};
	child.stdout.on('data', (data) => disk.text += data);
	await until('the disk is slow', () => disk.text.startsWith('ready\n'));
	/* it is, for each file and each program */
	assert.throws(() => execFileSync('nsenter', inside(d, 'true'),
	    {stdio: 'pipe', timeout: FAST_MS}), /ETIMEDOUT/);
	await until('it is noted', () => /\/true\n/.test(disk.text));
	disk.text = '';
	return disk;
}

/* Kills processes at once; all must be answered in time. */
async function killed(d, crowd, kinds) {
	const pids = (await d.ask('show', 'processes'))
	    .filter(kinds).map((p) => p.pid);
	assert.ok(pids.length >= 3);
	assert.equal(crowd.people.size, PEOPLE);
	const begin = performance.now();
	for (const pid of pids)
		try {
			process.kill(pid, 'SIGKILL');
		} catch (error) {
			/* a keeper leaves when its worker has been replaced */
			assert.equal(error.code, 'ESRCH');
		}
	crowd.talk([...crowd.people]);
	await until('all are answered', () =>
	    [...crowd.people].every((p) => p.echoed > 0), 3 * SLOW_MS);
	await until('all run', async () => (await d.ask('show', 'processes'))
	    .every((p) => p.state === 'running' && !pids.includes(p.pid)),
	    3 * SLOW_MS);
	const ms = performance.now() - begin;
	console.log(`     ${pids.length} killed, all served after ` +
	    `${ms.toFixed(0)} ms`);
	assert.ok(ms < SERVED_MS * patience(), `${ms} ms`);
	await crowd.judgeAll();
}

group('disk', null, (test) => {
	for (const [what, kinds] of [
	    ['all workers', ({kind}) => kind === 'worker'],
	    ['all workers, and one keeper of each', ({kind, number}, i, all) =>
		kind === 'worker' || kind === 'keeper' && i === all
		.findIndex((p) => p.kind === kind && p.number === number)],
	    ['all keepers', ({kind}) => kind === 'keeper'],
	    /* apart is a program of its own, which is read from the disk */
	    ['all other children', ({kind}) =>
		/^(count|lock|announce)$/.test(kind)]])
		test(`${what} are killed while the disk does not answer`,
		    async () => {
			build();
			const d = await Daemon.start({workers: 4});
			await until('all run', async () => (await d.json('show',
			    'processes')).every((p) => p.state === 'running'));
			const crowd = await Crowd.unbroken(d, PEOPLE);
			spoil(d);
			const disk = await slow(d);
			for (let i = 0; i < ROUNDS; i++) {
				crowd.cut();
				await killed(d, crowd, kinds);
			}
			assert.equal(disk.text, ''); /* nobody asked it */
			await disk.end();
			await crowd.leave();
			await d.stop();
		}, {limit: 60000});
});
