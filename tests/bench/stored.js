/*
 * stored: what the store costs a daemon, and how soon it has what is said.
 *
 *	node tests/bench/stored.js [seconds [rate]]
 *
 * After `make all` and `tests/bench/run.sh build`. Three figures: wsload says so
 * many texts of 200 bytes a second in the lobby, which is stored (processor time
 * and bytes of the file for each row, rows of a commit, how far behind it is);
 * meanwhile pages of 50 from what the ring has no more (round trip, beside that
 * of a page from the ring); then publications that are answered when they are
 * stored, 100 a second. FOLDER: where the database lies.
 */
'use strict';

const {spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
process.env.CHATD ??= path.join(__dirname, '../../build/chatd');
const {Daemon, ROOT, pause, until} = require('../system/daemon.js');
const {Line} = require('../system/centrifugo.js');
const {percentile, rules} = require('../fault/archive.js');
const {follows, row} = require('../fault/kill_points.js');

const SECONDS = Number(process.argv[2] ?? 60);
const RATE = Number(process.argv[3] ?? 20000);
const TICKS = 100; /* of a second, in /proc/PID/stat */
const FILL = 20000;
const dir = fs.mkdtempSync(path.join(process.env.FOLDER ?? os.tmpdir(),
    'stored-'));
process.on('exit', () => fs.rmSync(dir, {recursive: true, force: true}));
fs.chmodSync(dir, 0o777);

/* Seconds of processor time that a process has used. */
function used(pid) {
	const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
	const f = text.slice(text.lastIndexOf(')') + 2).split(' ');
	return (Number(f[11]) + Number(f[12])) / TICKS;
}

/* wsload to its end: its report. */
function load(d, seconds) {
	const child = spawn(path.join(ROOT, 'build/bench/wsload'), ['fanout',
	    '--port', String(d.port), '--clients', '4', '--publishers', '4',
	    '--rate', String(RATE), '--size', '200', '--warmup', '1',
	    '--duration', String(seconds), '--time', String(seconds + 60),
	    '--json'], {stdio: ['ignore', 'pipe', 'inherit']});
	let text = '';
	child.stdout.on('data', (data) => text += data);
	return new Promise((resolve) => child.on('exit', (status) =>
	    resolve({status, report: JSON.parse(text.trim().split('\n').at(-1))})));
}

/* A command's reply; pings are answered. */
async function ask(l, name, request) {
	const id = ++l.id;
	l.say({id, [name]: request});
	for (;;) {
		const r = await l.hear();
		if (r.id === id)
			return r;
		if (Object.keys(r).length === 0)
			l.say('{}');
	}
}

/* Rounds of one command until over(): ms of each. */
async function rounds(body, over, ms) {
	const all = [];
	while (!over()) {
		const begin = performance.now();
		await body();
		all.push(performance.now() - begin);
		await pause(ms);
	}
	return all;
}

/* Three of a list's percentiles, in words. */
function words(list) {
	return [50, 99, 100].map((p) => `${p === 100 ? 'max' : `p${p}`} ` +
	    `${percentile(list, p).toFixed(2)}`).join(', ') +
	    ` ms (${list.length})`;
}

/* Some thousand publications of a room. */
async function fill(l, channel, n) {
	const data = 'x'.repeat(200);
	for (let k = 0; k < n; k += 100) {
		for (let i = 0; i < 100; i++)
			l.say({id: 1000 + k + i, publish: {channel, data}});
		for (let i = 0; i < 100; i++)
			await l.hear();
	}
}

async function main() {
	const file = path.join(dir, 'chat.db');
	const d = await Daemon.start({workers: 4, conf: `store "${file}"\n` +
	    `store-search no\n` + rules('lobby', '\tstore yes\n') +
	    rules('page', '\tstore yes\n') + rules('acked', '\tstore ack\n')});
	await follows(d, 'store');
	const {pid} = await row(d, 'store');
	const l = await Line.connected(d, '?user=pager');
	const m = await Line.connected(d, '?user=ring');
	await fill(l, 'page', FILL);
	const {history: {epoch}} = await l.ask('history', {channel: 'page'});

	const whole = async () => {
		const {position} = await d.json('show', 'stats');
		await until('all is stored', async () =>
		    (await row(d, 'store')).cursor >= position, 60000);
	};
	await whole();
	const before = {...await d.json('store'), cpu: used(pid),
	    all: used(d.pid)};
	let over = false, behind = 0;
	const loading = load(d, SECONDS).finally(() => over = true);
	/* the ring has gone round once */
	const looks = rounds(async () => {
		const s = await d.ask('store');
		behind = Math.max(behind, s.behind?.publications ?? s.behind);
	}, () => over, 500);
	const pages = rounds(async () => {
		const r = await ask(l, 'history', {channel: 'page', limit: 50,
		    since: {offset: Math.floor(Math.random() * FILL / 2), epoch}});
		if (r.history?.publications.length !== 50)
			throw new Error(JSON.stringify(r));
	}, () => over, 10);
	const near = rounds(() => ask(m, 'history', {channel: 'lobby', limit: 50,
	    reverse: true}), () => over, 10);
	const {status, report} = await loading;
	await looks;
	const begin = performance.now();
	await whole();
	const after = {...await d.json('store'), cpu: used(pid)};
	const rows = after.rows - before.rows;
	console.log(`wsload: status ${status}, ${rows} rows in ${SECONDS + 1} s; ` +
	    `all stored ${(performance.now() - begin).toFixed(0)} ms later, ` +
	    `${behind} behind at most, ${after.holes} holes`);
	console.log(`${((after.cpu - before.cpu) / rows * 1e6).toFixed(1)} us of ` +
	    `processor time a row (target 15), ` +
	    `${(rows / (after.commits - before.commits)).toFixed(0)} rows a ` +
	    `commit, ${((after.bytes - before.bytes) / rows).toFixed(0)} bytes a ` +
	    'row (target 300)');
	console.log(`commits ${JSON.stringify(after.commit_ms)}`);
	console.log(`pages of 50 beside it: ${words(await pages)} (p99 target 2); ` +
	    `from the ring: ${words(await near)}`);
	const end = performance.now() + Math.min(SECONDS, 20) * 1000;
	const acked = await rounds(() => ask(l, 'publish', {channel: 'acked',
	    data: 'x'.repeat(200)}), () => performance.now() > end, 8);
	console.log(`acknowledged at 100/s: ${words(acked)} (targets 3 and 30)`);
	if (process.env.VERBOSE)
		console.log(report);
	l.client.drop();
	m.client.drop();
	await d.stop('SIGTERM', 20000);
}

main().catch(async (error) => {
	console.error(error);
	await Daemon.killAll();
	process.exit(1);
});
