/*
 * takeover: how long clients hear nothing when all workers are killed at once.
 *
 *	node tests/bench/takeover.js [clients [workers [rounds [tls]]]]
 *
 * Some of the clients ask while their workers are stopped, then the workers are
 * killed: printed is when the last of these was answered, in ms from the
 * SIGKILL, with how many connections the workers took over in which time, as
 * the log tells; in every second round all clients ask, so that answering them
 * is in it. At the end the medians. CHATD (build/chatd). Exit 1: one was not
 * answered, or was disconnected.
 */
'use strict';

const {spawn} = require('node:child_process');
const path = require('node:path');
process.env.CHATD ??= path.join(__dirname, '../../build/chatd');
const {Daemon, ROOT, processStat, until} = require('../system/daemon.js');
const {tlsDaemon, tlsStop} = require('../system/tls.js');

const [N, WORKERS, ROUNDS] = [12500, 1, 10].map((usual, i) =>
    Number(process.argv[2 + i] ?? usual));
const TLS = process.argv[5] === 'tls';
const HELPERS = Math.ceil(N / 15000); /* or their descriptors would run out */
const SOME = 50; /* askers of the rounds in which not all ask, of each helper */
const HELPER = path.join(ROOT, 'build/bench/takeover');

/* A process of clients; line() waits for the next one that it says. */
function clients(port, k) {
	const first = Math.floor(N * k / HELPERS);
	const n = Math.floor(N * (k + 1) / HELPERS) - first;
	const child = spawn(HELPER,
	    [port, first, n, ...TLS ? ['tls'] : []].map(String),
	    {stdio: ['pipe', 'pipe', 'inherit']});
	child.clients = n;
	let said = '', at = 0;
	child.stdout.on('data', (data) => said += data);
	child.on('exit', (status) => child.over = status);
	child.line = () => until('the clients say something', () => {
		const end = said.indexOf('\n', at);
		if (end < 0 && child.over !== undefined)
			throw new Error('the clients have ended');
		if (end < 0)
			return undefined;
		const line = said.slice(at, end);
		at = end + 1;
		return line;
	}, 120000);
	return child;
}

/* The middle one. */
function median(list) {
	return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? NaN;
}

/* All workers, once each runs, has its keeper, and all connections are kept. */
function workers(d) {
	return until('all workers run', async () => {
		const all = await d.ask('show', 'workers');
		return all.every((w) => w.state === 'running' && w.keeper !== 0 &&
		    w.kept === w.connections) &&
		    all.reduce((n, w) => n + w.connections, 0) === N && all;
	}, 60000);
}

/* Stops processes, has `n` clients of each helper ask, and kills the processes.
 * Returns when the first and the last was answered, in ms from then on, and how
 * many were not. */
async function ask(pids, helpers, n) {
	for (const pid of pids) {
		process.kill(pid, 'SIGSTOP');
		await until('it is stopped', () => processStat(pid).state === 'T');
	}
	for (const h of helpers)
		h.stdin.write(`${Math.min(n, h.clients)}\n`);
	for (const h of helpers)
		await h.line();
	const killed = Number(process.hrtime.bigint()) / 1e6;
	for (const pid of pids)
		process.kill(pid, 'SIGKILL');
	const all = [];
	for (const h of helpers)
		all.push((await h.line()).split(' ').map(Number));
	return {first: Math.min(...all.map((a) => a[0])) - killed,
	    last: Math.max(...all.map((a) => a[1])) - killed,
	    missing: all.reduce((sum, a) => sum + a[2], 0)};
}

async function main() {
	const conf = `connections ${N + 100}\nusers ${N + 100}\n`;
	const d = await (TLS ? tlsDaemon : (o) => Daemon.start(o))(
	    {workers: WORKERS, conf});
	const helpers = Array.from({length: HELPERS},
	    (_, k) => clients(TLS ? d.tlsPort : d.port, k));
	const last = {some: [], all: []};
	let missing = 0;
	for (const h of helpers)
		await h.line();
	for (let round = 0; round < ROUNDS; round++) {
		const who = round % 2 === 0 ? 'some' : 'all';
		const pids = (await workers(d)).map((w) => w.pid);
		const from = d.stderr.length;
		const r = await ask(pids, helpers, who === 'some' ? SOME : N);
		const took = () => [...d.stderr.slice(from)
		    .matchAll(/adopted \d+ connections in (\d+) ms/g)]
		    .map((m) => m[1]);
		await until('the takeovers are told',
		    () => took().length >= WORKERS);
		last[who].push(r.last);
		missing += r.missing;
		console.log(`${who} of ${N} clients at ${WORKERS} workers ask: ` +
		    `answered after ${r.first.toFixed(1)} to ` +
		    `${r.last.toFixed(1)} ms, ${r.missing} not; takeovers ` +
		    `${took().join(' ')} ms`);
	}
	console.log(`medians: ${median(last.some).toFixed(1)} ms until ` +
	    `${SOME * HELPERS} are answered, ${median(last.all).toFixed(1)} ` +
	    'ms until all');
	for (const h of helpers)
		h.stdin.end();
	await (TLS ? tlsStop(d, () => d.kill()) : d.kill());
	process.exit(missing === 0 ? 0 : 1);
}

main().catch(async (error) => {
	console.error(error);
	await Daemon.killAll();
	process.exit(1);
});
