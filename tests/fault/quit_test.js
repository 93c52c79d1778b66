/*
 * A worker that dies, or is missing, when chatd is told to leave: what it served
 * is served by another one until then, or told at once.
 */
'use strict';

const {choose} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {CHATCTL, Daemon, processStat, run} = require('../system/daemon.js');
const {Crowd, talks, until} = require('./crowd.js');
const {List} = require('./kill_points.js');

const GOING_AWAY = 1001;
const WORKER = 1; /* that dies */

/* A daemon with a crowd on both workers, none of whom is lost. */
async function start(env = {}) {
	const d = await Daemon.start({workers: 2, conf: 'drain-timeout 60s\n',
	    env});
	const crowd = await Crowd.unbroken(d, 12);
	await crowd.locate();
	assert.ok([...crowd.people].some((p) => p.worker === WORKER));
	return {d, crowd};
}

/* The pid of the worker that is to die. */
async function victim(d) {
	return (await d.json('show', 'workers'))[WORKER].pid;
}

/* Kills a process, and waits until that is done. */
async function kill(pid) {
	process.kill(pid, 'SIGKILL');
	await until('it is dead', () => /\) Z/.test(
	    fs.readFileSync(`/proc/${pid}/stat`, 'latin1')));
}

/*
 * A daemon that is told to leave by a signal, and says so, when a worker has
 * begun to retire and reads nothing more: its keepers have its sockets.
 */
async function retiring(signal, says) {
	const list = new List();
	const {d, crowd} = await start({CHATD_KILL_LIST: list.path});
	const restart = () => run(CHATCTL, ['-s', d.socket, 'restart-worker',
	    String(WORKER)], {limit: 60000});
	assert.equal((await restart()).status, 0);
	/* each worker has passed the first one when it began */
	const [, point] = list.passes(/^worker\/leave\.c/).keys();
	const people = [...crowd.people], pid = await victim(d);
	list.arm(parseInt(point, 10), 1, WORKER, 'SIGSTOP');
	const told = restart();
	await until('it retires', () => processStat(pid)?.state === 'T');
	process.kill(d.pid, signal);
	await d.logged(says);
	process.kill(pid, 'SIGCONT');
	await told;
	list.remove();
	return {d, crowd, people};
}

/* All are told. */
async function areTold(crowd, people) {
	await until('all are told', () => crowd.people.size === 0);
	for (const p of people)
		assert.equal(p.closed.code, GOING_AWAY, `${p.user} of ` +
		    `worker ${p.worker}`);
}

/* Nobody is lost, and everybody is heard. */
async function served(crowd) {
	await talks(crowd);
	assert.equal(crowd.broken, undefined);
	assert.equal(crowd.people.size, 12);
}

/* All leave: so does the daemon. */
async function ends(d, crowd) {
	await crowd.leave();
	await until('its end', () => d.end);
	assert.equal(d.end.status, 0);
}

group('quit', null, (test) => {
	test('a worker dies', async () => {
		const {d, crowd} = await start();
		const pid = await victim(d);
		process.kill(d.pid, 'SIGQUIT');
		await d.logged(/leaving when the last client has left/);
		process.kill(pid, 'SIGKILL');
		await served(crowd);
		await ends(d, crowd);
	});

	test('a worker is dead, and its death not noted', async () => {
		const {d, crowd} = await start();
		const pid = await victim(d);
		process.kill(d.pid, 'SIGSTOP');
		await kill(pid);
		process.kill(d.pid, 'SIGQUIT');
		process.kill(d.pid, 'SIGCONT');
		await served(crowd);
		await ends(d, crowd);
	});

	test('a worker has retired', async () => {
		const {d, crowd} = await start();
		const pid = await victim(d);
		const files = () => fs.readdirSync(`/proc/${pid}/fd`).length;
		const before = files();
		process.kill(pid, 'SIGSTOP');
		const told = d.ask('restart-worker', String(WORKER))
		    .catch((error) => error);
		await d.logged(new RegExp(`restarts worker ${WORKER}`));
		process.kill(d.pid, 'SIGSTOP');
		process.kill(pid, 'SIGCONT');
		await until('it has closed its links', () => files() < before);
		process.kill(d.pid, 'SIGQUIT');
		process.kill(d.pid, 'SIGCONT');
		await told;
		await served(crowd);
		await ends(d, crowd);
	});

	test('a worker is retiring', async () => {
		const {d, crowd} = await retiring('SIGQUIT',
		    /leaving when the last client has left/);
		await served(crowd);
		await ends(d, crowd);
	});

	test('the only worker dies: chatd ends', async () => {
		const d = await Daemon.start({workers: 1});
		const crowd = new Crowd(d);
		await crowd.join('a');
		const {pid} = (await d.json('show', 'workers'))[0];
		process.kill(d.pid, 'SIGQUIT');
		await d.logged(/leaving when the last client has left/);
		process.kill(pid, 'SIGKILL');
		await until('its end', () => d.end);
		await until('the connection\'s end', () => crowd.people.size === 0);
	});
});

group('stop', null, (test) => {
	test('a worker dies: its clients are told', async () => {
		const {d, crowd} = await start();
		const people = [...crowd.people];
		const pid = await victim(d);
		process.kill(d.pid, 'SIGSTOP');
		await kill(pid);
		process.kill(d.pid, 'SIGTERM');
		process.kill(d.pid, 'SIGCONT');
		await areTold(crowd, people);
		await until('its end', () => d.end);
	});

	test('a worker is retiring: its clients are told', async () => {
		const {d, crowd, people} = await retiring('SIGTERM', /stopping/);
		await areTold(crowd, people);
		await until('its end', () => d.end);
		assert.equal(d.end.status, 0);
	});
});
