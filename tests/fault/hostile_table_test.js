/*
 * A worker is taken over by an attacker: what it does to the table of
 * descriptors that it shares with its keepers, and to them, costs its own
 * clients at most. Nothing of it survives in that table, nor beside it, and its
 * place serves again.
 */
'use strict';

const {choose, BUILD} = require('./builds.js');
choose('kill'); /* whose children can be preloaded */
const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const {group} = require('../system/suite.js');
const {Daemon, processChildren, processDescriptors, processStat, processTitle,
    until} = require('../system/daemon.js');
const {Guests, whole} = require('./guests.js');

const LIBRARY = path.join(BUILD, 'fault/hostile_table.so');
const WORKERS = 3, GUESTS = 45;

/* What it does: whether its own clients may be lost by that, and how it ends:
 * killed by its filter, by itself, by the master, or not at all. */
const DEEDS = {
	'close-all': {lost: true, ends: true},
	'over-all': {lost: true, ends: true},
	'home-over+': {lost: true, ends: true},
	'home-shut+': {lost: true, ends: true,
	    says: /worker \d has spoilt its table/},
	'close-low+': {ends: true},
	'fill+': {ends: true},
	'orphans+': {ends: true},
	'limit-self+': {ends: true},
	clone: {ends: true, filter: true},
	brother: {ends: true, filter: true},
	fork: {ends: true, filter: true},
	exec: {ends: true, filter: true},
	trace: {ends: true, filter: true},
	write: {ends: true, filter: true},
	'kill-keeper': {ends: true, filter: true},
	'own-keeper': {ends: true, filter: true},
	'ioctl-keeper': {ends: true, filter: true},
	'kill-worker': {ends: true, filter: true},
	'stop-master': {ends: true, filter: true},
	'limit-keeper': {ends: true, filter: true},
	/* the listeners are all workers' */
	'shut-all+': {lost: true, ends: true,
	    says: /address .* ended listening there/},
	'block-all+': {lost: true, ends: true,
	    says: /address .* made it wait/},
	'open+': {ends: true, says: /hostile: open 0 /},
	notes: {},
	gifts: {},
};

/* Without a filter of system calls. */
const UNFILTERED = {
	'clone+': {ends: true, says: /hostile: clone \d/},
	'brother+': {ends: true, says: /hostile: clone \d/},
	'fork+': {ends: true, says: /hostile: fork \d/},
	exec: {ends: true},
	'trace+': {ends: true, says: /hostile: trace -1/},
	'write+': {ends: true, says: /hostile: write -1/},
	'kill-keeper+': {ends: true, says: /hostile: kill 0/},
	'kill-worker+': {ends: true, says: /hostile: kill 0/, others: true},
	'stop-master+': {ends: true, says: /hostile: stop -1/},
	'limit-keeper+': {ends: true, says: /hostile: limit 0/},
};

/* Has some worker do that; returns which one it was. It says so, unless what it
 * did before has closed its stderr: then it is the one that has ended. */
async function misled(d, deed, before) {
	const from = d.stderr.length;
	const socket = net.connect(d.port, '127.0.0.1');
	socket.on('error', () => {});
	socket.write(`GET /hostile-${deed} HTTP/1.1\r\nHost: h\r\n\r\n`);
	const name = deed.replace('+', '');
	const said = new RegExp(`hostile: ${name} by (\\d+)`);
	const slot = await until(`${deed} is done`, async () => {
		const pid = Number(d.stderr.slice(from).match(said)?.[1]);
		const now = await d.ask('show', 'workers');
		const at = before.findIndex((w) => pid ? w.pid === pid :
		    w.pid !== now[w.slot].pid);
		return at !== -1 && {at};
	});
	socket.destroy();
	return slot.at;
}

/* All processes that descend from the master. */
function family(d) {
	const parents = new Map(fs.readdirSync('/proc')
	    .filter((name) => /^\d+$/.test(name))
	    .map((name) => [Number(name), processStat(Number(name))])
	    .filter(([, stat]) => stat && stat.state !== 'Z')
	    .map(([pid, stat]) => [pid, stat.parent]));
	const of = (pid) => pid === d.pid ||
	    (parents.has(pid) && of(parents.get(pid)));
	return [...parents.keys()].filter((pid) => pid !== d.pid && of(pid));
}

/* The pids that a daemon in its normal state has below it. */
async function settled(d) {
	await whole(d);
	await until('no stranger is left', () => {
		const all = family(d), own = processChildren(d.pid);
		return all.length === own.length && own.length === 3 * WORKERS + 1;
	}).catch((error) => {
		throw new Error(`${error.message}: ` + family(d).map((pid) =>
		    `${pid} ${processTitle(pid)}`).join(', '));
	});
}

/* Descriptors of each keeper and worker that are no connection's: as many at each
 * place. */
async function even(d) {
	let seen;
	await until('as many descriptors at each place', async () => {
		seen = (await d.ask('show', 'workers')).map((w) =>
		    [w.pid, ...w.keepers].map((pid) =>
		    processDescriptors(pid) - w.connections));
		return new Set(seen.flat()).size === 1;
	}).catch((error) => {
		throw new Error(`${error.message}: ${JSON.stringify(seen)}`);
	});
}

/* One does that; those of other workers notice nothing. */
async function suffer(d, deed, {lost, ends, filter, says, others}) {
	const guests = await Guests.come(d, GUESTS);
	await guests.kept();
	await settled(d);
	const from = d.stderr.length;
	const at = await Promise.all([...Array(WORKERS).keys()].map((slot) =>
	    guests.at(slot)));
	const before = await d.ask('show', 'workers');
	const slot = await misled(d, deed, before);
	if (ends)
		await until(`${deed}: another worker`, async () => {
			const w = (await d.ask('show', 'workers'))[slot];
			return w.state === 'running' && w.pid !== before[slot].pid;
		}, 20000);
	if (filter)
		says = new RegExp(`worker ${slot} .*(SIGSYS|Bad system call)`);
	if (says)
		await until(`${says} in the log`, () =>
		    says.test(d.stderr.slice(from)));
	for (const other of at.keys())
		if (other !== slot) {
			await guests.served(undefined, at[other]);
			const w = (await d.ask('show', 'workers'))[other];
			if (!others)
				assert.equal(w.pid, before[other].pid,
				    `worker ${other}`);
		}
	if (!lost)
		await guests.served(undefined, at[slot]);
	await settled(d);
	const gone = guests.ended();
	guests.all = guests.all.filter((c) => !gone.includes(c));
	await until('its place serves who is new', async () => {
		const some = await guests.more(5);
		const here = await guests.at(slot);
		return some.some((c) => here.includes(c));
	}, 20000);
	await guests.served();
	await guests.kept();
	await even(d);
	guests.leave();
	await until('all have left', async () =>
	    (await d.ask('show', 'connections')).length === 0);
}

group('hostile table', null, (test) => {
	fs.mkdirSync(path.dirname(LIBRARY), {recursive: true});
	execFileSync(process.env.CC ?? 'gcc', ['-std=gnu11', '-D_GNU_SOURCE',
	    '-Wall', '-Wextra', '-O2', '-shared', '-fPIC', '-o', LIBRARY,
	    path.join(__dirname, 'hostile_table.c')]);
	for (const [title, deeds, env] of [['', DEEDS, {}],
	    [', no filter', UNFILTERED, {HOSTILE_UNFILTERED: '1'}]])
		for (const [deed, how] of Object.entries(deeds))
			test(deed + title, async () => {
				const d = await Daemon.start({workers: WORKERS,
				    conf: 'watchdog 1s\n',
				    env: {LD_PRELOAD: LIBRARY, ...env}});
				await suffer(d, deed, how);
				/* at another worker perhaps, or at its successor */
				await suffer(d, deed, how);
				await d.stop();
			}, {limit: 60000});
});
