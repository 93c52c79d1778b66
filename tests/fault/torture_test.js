/*
 * Torture: the n-th call of a function fails, n = 1, 2, 3 ... until a small
 * scenario gets through without reaching it. Each time the daemon says at the
 * start what is wrong and leaves with a status, or it serves: perhaps a
 * connection is lost or a worker replaced, but nothing hangs, nothing is
 * swallowed silently, and nobody is left behind.
 */
'use strict';

const {choose, BUILD, LONG} = require('./builds.js');
choose('kill'); /* whose children can be preloaded */
const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {group} = require('../system/suite.js');
const {Daemon, answers, processChildren, processDescriptors, processLives} =
    require('../system/daemon.js');
const {Crowd, until, workerState} = require('./crowd.js');
const {invariant} = require('./guests.js');

const LAST = LONG ? 2000 : 2;
const AT_ONCE = 4;        /* daemons */
const START_MS = 15000;
const CLIENTS = 4;
const WORKERS = 2;
const SERIOUS = /SIG(SEGV|ABRT|BUS|FPE|ILL)/;
const CALLS = ['malloc', 'calloc', 'realloc', 'mmap', 'memfd_create',
    'ftruncate', 'socketpair', 'fork', 'bind', 'listen', 'accept4', 'sendmsg',
    'sendmmsg', 'send', 'recv', 'recvmsg', 'recvmmsg', 'epoll_ctl',
    'epoll_wait', 'io_uring_queue_init_params', 'io_uring_submit',
    'io_uring_get_events', 'io_uring_register_ring_fd', '__io_uring_get_cqe'];
const LIBRARY = path.join(BUILD, 'fault/failnth.so');

/* Builds the library that fails calls. */
function build() {
	fs.mkdirSync(path.dirname(LIBRARY), {recursive: true});
	execFileSync(process.env.CC ?? 'gcc', ['-std=gnu11', '-D_GNU_SOURCE',
	    '-Wall', '-Wextra', '-O2', '-shared', '-fPIC', '-o', LIBRARY,
	    path.join(__dirname, 'failnth.c')]);
}

let glibc = 0;            /* deaths within libc at the start */

/* Asks chatctl, and once more if the failure hit just that. */
async function ask(d, ...args) {
	return d.json(...args).catch(() => d.json(...args));
}

/* Waits until the daemon serves or has left; whether it serves. */
async function starts(d) {
	await until('a start or an end', async () =>
	    d.end || await answers(d.port), START_MS);
	return !d.end;
}

/* It left at the start: with a status and a word. (libbsd's arc4random leaves
 * silently when it cannot map its state, the master's second mmap; libc's
 * getpwnam() dies where it has no memory, at two of its calls of malloc.) */
function judgeRefusal(d) {
	if ((d.end.signal === 'SIGSEGV' || /nss_database/.test(d.stderr)) &&
	    /malloc/.test(d.stderr) &&
	    !d.stderr.includes('master: ')) {
		glibc++;
		return;
	}
	assert.ok(d.end.status > 0, `end ${JSON.stringify(d.end)}`);
	if (!/mmap [23] /.test(d.stderr))
		assert.match(d.stderr,
		    /error|chatd: |no memory|annot allocate/,
		    'no word about why');
}

/* Joins; a failure may cost the connection, but not twice. */
async function join(crowd, user) {
	return crowd.join(user).catch(() => crowd.join(user))
	    .catch(() => crowd.join(user));
}

/* All who are there say a line and whisper; who lives hears them all. */
async function exchange(crowd) {
	crowd.cut();
	crowd.talk([...crowd.people]);
	for (const p of crowd.speakers)
		p.talking = false;
	await crowd.hush();
	const there = crowd.people.size;
	if (there === 0)
		return;
	await crowd.barrier().catch((error) => {
		/* it was lost on the way with who said it */
		if (crowd.people.size === there)
			throw error;
		return crowd.barrier();
	});
	crowd.judge();
}

/* What the clients do. */
async function scenario(d, crowd) {
	for (let i = 0; i < CLIENTS; i++)
		await join(crowd, `u${i}`);
	await exchange(crowd);
	[...crowd.people][0]?.ws.close();
	await until('one left', () => crowd.people.size < CLIENTS);
	/* Whatever it was, it is over. */
	while (crowd.people.size < CLIENTS)
		await join(crowd, `v${crowd.people.size}`);
	await exchange(crowd);
	for (let slot = 0; slot < WORKERS; slot++)
		await until(`worker ${slot} runs`, async () =>
		    (await workerState({json: (...a) => ask(d, ...a)}, slot))
		    .state === 'running');
}

/* If each worker fails at its start, nobody can be served: they are tried with
 * pauses, and the daemon says so. Anything else is a failure. */
async function noneLives(d, spec, error) {
	const all = await ask(d, 'show', 'workers');
	if (!spec.endsWith(':worker:each') || all.some((w) =>
	    w.generation < 3 || w.state === 'running'))
		throw error;
	await d.logged(/error: worker \d+ \(pid \d+\)/);
	return false;
}

/* One failure; whether it was reached. */
async function failAt(spec, descriptors) {
	const done = path.join(fs.mkdtempSync(path.join(os.tmpdir(),
	    'chatd-failnth-')), 'done');
	fs.writeFileSync(done, Buffer.alloc(4096));
	fs.chmodSync(path.dirname(done), 0o755);
	fs.chmodSync(done, 0o666); /* children have another user */
	const d = await Daemon.start({ready: false, workers: WORKERS,
	    env: {FAILNTH: spec, FAILNTH_DONE: done, LD_PRELOAD: LIBRARY}});
	try {
		let family;
		if (await starts(d)) {
			family = [d.pid, ...processChildren(d.pid)];
			const crowd = new Crowd(d);
			if (!await scenario(d, crowd).then(() => true,
			    (error) => noneLives(d, spec, error))) {
				await d.stop();
				return {hit: true};
			}
			await crowd.presence(3000).catch((error) => {
				/* Perhaps that very answer was spoilt. */
				return crowd.presence(1000);
			});
			await invariant(d);
			await crowd.leave();
			await until('nobody there', async () =>
			    (await ask(d, 'show', 'connections')).length === 0 &&
			    (await ask(d, 'show', 'users')).length === 0);
			if (descriptors)
				await until(`${descriptors} descriptors in the ` +
				    'master', () => processDescriptors(d.pid) <=
				    descriptors);
			else
				descriptors = processDescriptors(d.pid);
			await d.stop();
		} else {
			await d.silent; /* all of the log is here */
			judgeRefusal(d);
			family = processChildren(d.pid);
		}
		await until('no process left', () => !family.some(processLives));
		assert.doesNotMatch(d.stderr, SERIOUS);
		return {hit: d.stderr.includes('failnth: '), descriptors};
	} catch (error) {
		error.message = `${spec}: ${error.message}\n` + d.stderr
		    .slice(-3000).replace(/^/gm, '| ');
		throw error;
	} finally {
		await d.kill();
		fs.rmSync(path.dirname(done), {recursive: true});
	}
}

/* Every n of one call in the master or the workers, until it is not reached.
 * Returns how many were, and what went wrong. */
async function failAll(call, where, how, descriptors) {
	const bad = [];
	let n = 1;
	for (; n <= LAST; n++) {
		const r = await failAt(`${call}:${n}:${where}:${how}`,
		    descriptors).catch((error) => {
			bad.push(error);
			return {hit: true};
		});
		if (!r.hit)
			break;
	}
	if (glibc > 4) /* two of malloc, once and each */
		bad.push(new Error(`${glibc} deaths at the start`));
	return {reached: n - 1, bad};
}

group('torture', null, (test) => {
	let descriptors;
	test('untouched', async () => {
		build();
		({descriptors} = await failAt('nothing:1:any:once'));
	});
	const jobs = CALLS.flatMap((call) => ['master', 'worker']
	    .flatMap((where) => (LONG ? ['once', 'each'] : ['once'])
	    .map((how) => ({call, where, how}))));
	for (let at = 0; at < jobs.length; at += AT_ONCE) {
		const some = jobs.slice(at, at + AT_ONCE);
		test(some.map((j) => `${j.call} in ${j.where}, ${j.how}`)
		    .join('; '), async () => {
			const all = await Promise.all(some.map((j) =>
			    failAll(j.call, j.where, j.how, descriptors)));
			console.log('     reached: ' + all.map((r, i) =>
			    `${some[i].call} ${r.reached}`).join(', '));
			const bad = all.flatMap((r) => r.bad);
			assert.equal(bad.length, 0, bad.map((e) => e.message)
			    .join('\n'));
		}, {limit: LONG ? 3600000 : 60000});
	}
});
