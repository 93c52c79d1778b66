/* The master is killed: a second later nobody is left, not even a worker that
 * is stopped, and another master can start in its place. */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, processChildren, processLives} =
    require('../system/daemon.js');
const {Crowd, patience, until} = require('./crowd.js');

const GONE_MS = 1000;
const ROUNDS = 3;

/* Kills the master of a daemon under load; stopped: first stops that worker. */
async function killMaster(stopped) {
	const d = await Daemon.start({});
	const crowd = new Crowd(d);
	const workers = processChildren(d.pid);
	assert.ok(workers.length >= 4);
	await crowd.joinAll(Array.from({length: 40}, (_, i) => `u${i}`));
	crowd.cut();
	crowd.talk([...crowd.people].slice(0, 4));
	await until('lines', () => crowd.speakers[0].echoed > 20);
	if (stopped !== undefined)
		process.kill((await d.json('show', 'workers'))[stopped].pid,
		    'SIGSTOP');
	const at = performance.now();
	process.kill(d.pid, 'SIGKILL');
	await until('no worker left', () => !workers.some(processLives),
	    GONE_MS * patience()).catch((error) => {
		throw new Error(`${error.message}: ` +
		    workers.filter(processLives));
	});
	const gone = performance.now() - at;
	await until('all clients are told', () => crowd.people.size === 0);
	console.log(`     nobody left after ${Math.round(gone)} ms`);
	/* Its port and its control socket are free. */
	const next = await Daemon.start({port: d.port, args: ['-s', d.socket]});
	next.socket = d.socket;
	assert.equal((await next.json('show', 'workers')).length, 4);
	await next.stop();
	await d.kill();
}

group('master killed', null, (test) => {
	for (let i = 1; i <= ROUNDS; i++)
		test(`under load, round ${i}`, () => killMaster());
	test('with a stopped worker', () => killMaster(2));
});
