/*
 * A machine that executes no files in memory (vm.memfd_noexec, in a process
 * namespace of its own, which takes root): children execute the file of their
 * program, which the log says. Where only those are refused that do not say that
 * they are programs, nothing is different.
 */
'use strict';

const {spawnSync} = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const {BUILD} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/kinds/sbin/chatd');
const INSIDE = 'CHATD_NOEXEC_INSIDE';
const KEY = '/proc/sys/vm/memfd_noexec';

if (process.env[INSIDE] === undefined) {
	const r = spawnSync('unshare', ['--pid', '--fork', '--kill-child',
	    '--mount-proc', process.execPath, ...process.argv.slice(1)],
	    {stdio: 'inherit', env: {...process.env, [INSIDE]: ''}});
	process.exit(r.status ?? 1);
}

const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, until} = require('../system/daemon.js');
const {Crowd} = require('./crowd.js');

const WARNS = /a program in memory cannot be executed here.*children execute the file chatd-child itself/;

/* All run, as other processes than those. */
async function others(d, pids) {
	await until('others run', async () => (await d.json('show', 'processes'))
	    .every((p) => p.state === 'running' && !pids.includes(p.pid)),
	    20000);
	return (await d.json('show', 'processes')).map((p) => p.pid);
}

/* Processes are started, killed and upgraded under talking clients. */
async function lives(d) {
	const crowd = await Crowd.unbroken(d, 6);
	const pids = await others(d, []);
	crowd.cut();
	crowd.talk([...crowd.people]);
	for (const {kind, pid} of await d.json('show', 'processes'))
		if (kind !== 'keeper')
			process.kill(pid, 'SIGKILL');
	await until('they run again', async () => (await d.json('show',
	    'processes')).every((p) => p.state === 'running' &&
	    (p.kind === 'keeper' || !pids.includes(p.pid))), 15000);
	const r = await d.ctl('upgrade');
	assert.equal(r.status, 0, r.stderr);
	await until('all are replaced', async () =>
	    (await d.json('show', 'upgrade')).state === 'done', 20000);
	await others(d, pids);
	await crowd.judgeAll();
	await crowd.leave();
}

group('noexec', null, (test) => {
	/* 2 last: it cannot be lowered */
	for (const [value, what] of [['1', 'what says that it is no program'],
	    ['2', 'all']])
		test(`the machine refuses to execute ${what} in memory`, async () => {
			fs.writeFileSync(KEY, value);
			const d = await Daemon.start({workers: 2});
			await d.logged(/ready/);
			assert.equal(WARNS.test(d.stderr), value === '2');
			await lives(d);
			const told = d.stderr.match(RegExp(WARNS, 'g')) ?? [];
			assert.equal(told.length, value === '2' ? 2 : 0);
			await d.stop();
		}, {limit: 60000});
});
