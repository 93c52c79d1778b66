/*
 * million: what a daemon with very many idle users does; make million.
 *
 *	node tests/bench/million.js
 *
 * CLIENTS (1000000) distinct users connect to WORKERS (64) and stay, answering
 * pings; the configuration is the default apart from the sizes. Then a worker
 * is killed, the whole is upgraded, and stopped. Printed is what each took,
 * beside what is aimed at, and who was closed meanwhile. TIME (600): seconds
 * for all of it; what does not end by then is ended.
 *
 *	TLS=1 CLIENTS=50000 WORKERS=4 node tests/bench/million.js
 *
 * is what make tls-many does: they come over TLS, and all workers are killed at
 * once. After that each of them is to hear what is said to all, once.
 *
 * Exit 0: nobody was closed before the stop, and then everybody by a close
 * frame, whether what is aimed at is met or not; 1: not so; 2: this machine has
 * not the memory or the descriptors.
 */
'use strict';

const {spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
process.env.CHATD ??= path.join(__dirname, '../../build/chatd');
const {Daemon, ROOT, pause, processChildren, until} =
    require('../system/daemon.js');
const {tlsDaemon} = require('../system/tls.js');

const N = Number(process.env.CLIENTS ?? 1000000);
const WORKERS = Number(process.env.WORKERS ?? 64);
const TIME = Number(process.env.TIME ?? 600);
const TLS = process.env.TLS === '1';
const NAME = TLS ? 'tls-many' : 'million';
const WSLOAD = path.join(ROOT, 'build/bench/wsload');
const EACH = 12500;	     /* clients of one generator */
const SOURCES = 125;	     /* 8,000 ports of each address */
const CLIENT_BYTES = 14000;  /* both ends of a connection, mostly kernel */
const TLS_BYTES = 50000;     /* more at the generator, for OpenSSL */
const BESIDES_BYTES = 2e9;
const TENTHS = 10;

const began = Date.now();
const generators = [];
let d; /* the daemon */
let phase = 'start';
let wrong = 0;

function seconds(from, to = Date.now()) {
	return ((to - from) / 1000).toFixed(1);
}

function say(text) {
	console.log(`${seconds(began).padStart(6)} s  ${text}`);
}

/* One figure beside what is aimed at. */
function figure(what, got, met, target) {
	say(`${what}: ${got} (${target}: ${met ? 'met' : 'missed'})`);
}

/* Whether the machine has room for them; says what is missing. */
function room() {
	const text = fs.readFileSync('/proc/meminfo', 'latin1');
	const have = Number(/^MemAvailable: +(\d+)/m.exec(text)[1]) * 1024;
	const need = N * (CLIENT_BYTES + (TLS ? TLS_BYTES : 0)) + BESIDES_BYTES;
	const limit = /^Max open files +\S+ +(\d+)/m.exec(
	    fs.readFileSync('/proc/self/limits', 'latin1'))[1];
	const each = Math.ceil(N / WORKERS * 1.06) + 200;
	const files = Number(fs.readFileSync('/proc/sys/fs/file-max', 'latin1'));

	if (have < need)
		return `${N} clients need ${(need / 2 ** 30).toFixed(1)} GiB ` +
		    `of memory, ${(have / 2 ** 30).toFixed(1)} are available: ` +
		    'CLIENTS=100000 make million';
	if (Number(limit) < Math.max(each, EACH + 64))
		return `${WORKERS} workers need ${each} open files each, ` +
		    `generators ${EACH + 64}, and the limit is ${limit}`;
	if (files < 2 * N + 10000)
		return `fs.file-max is ${files}, two for each client needed`;
	return null;
}

/* A process of n clients from `first` on. ask() returns how it stands. */
function generate(port, first, n) {
	const child = spawn(WSLOAD, ['hold', '--port', port, '--clients', n,
	    '--first', first, '--sources', SOURCES, '--inflight', 64,
	    '--time', TIME, ...TLS ? ['--tls'] : []].map(String),
	{stdio: ['pipe', 'pipe', 'inherit']});
	let said = '';
	const waiting = [];
	child.stdout.on('data', (data) => {
		said += data;
		for (let end; (end = said.indexOf('\n')) >= 0;
		    said = said.slice(end + 1))
			waiting.shift()?.(JSON.parse(said.slice(0, end)));
	});
	child.stdin.on('error', () => {});
	child.over = new Promise((resolve) => child.on('exit', resolve));
	const next = () => Promise.race([
		new Promise((resolve) => waiting.push(resolve)),
		child.over.then(() => ({open: 0, closed: 0, errors: n,
		    first_error: 'the generator has ended'}))]);
	child.opened = next();
	child.ask = () => {
		child.stdin.write('\n');
		return next();
	};
	generators.push(child);
}

/* How all clients stand together. */
async function clients() {
	const sum = {open: 0, closed: 0, errors: 0, messages: 0, first: ''};
	for (const one of await Promise.all(generators.map((g) => g.ask()))) {
		sum.open += one.open;
		sum.closed += one.closed;
		sum.errors += one.errors;
		sum.messages += one.messages;
		sum.first ||= one.first_error;
	}
	return sum;
}

/* Says who has been closed so far, which nobody should. */
async function nobodyLost(after) {
	const c = await clients();
	if (c.open !== N)
		wrong++;
	figure(`lost ${after}`, `${N - c.open}${c.first && ': ' + c.first}`,
	    c.open === N, '0');
}

/* Pss of all its processes. */
function pss() {
	const all = [d.pid, ...processChildren(d.pid)];
	return all.reduce((sum, pid) => sum + Number(/^Pss: +(\d+)/m.exec(
	    fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))[1]) * 1024,
	0);
}

/* The workers, once they say; they may be slow. */
function workers(such = () => true) {
	return until('the workers', async () => {
		const all = await d.ask('show', 'workers').catch(() => null);
		return all && such(all) && all;
	}, 60000);
}

function total(all) {
	return all.reduce((sum, w) => sum + w.connections, 0);
}

/* How many come a second from one look to another. */
function rate(from, to) {
	return Math.round((to.n - from.n) / (to.ms - from.ms) * 1000);
}

async function open() {
	const start = {ms: Date.now(), n: 0};
	let done, told = start, last = start;

	for (let first = 0; first < N; first += EACH)
		generate(TLS ? d.tlsPort : d.port, first, Math.min(EACH, N - first));
	Promise.all(generators.map((g) => g.opened)).then(() =>
	    done = {ms: Date.now(), n: N});
	while (!done) {
		await pause(500);
		const all = await d.ask('show', 'workers').catch(() => []);
		const now = {ms: Date.now(), n: total(all)};
		if (now.n <= N * (1 - 1 / TENTHS))
			last = now;
		if (now.n >= told.n + N / TENTHS && !done) {
			say(`${now.n} open, ${rate(told, now)}/s`);
			told = now;
		}
	}
	const all = (await workers()).map((w) => w.connections);
	say(`all after ${seconds(start.ms, done.ms)} s, ` +
	    `${rate(start, done)}/s; ${Math.min(...all)} to ` +
	    `${Math.max(...all)} at each worker`);
	if (TLS) /* most of it is the generators' */
		say(`the last of them: ${rate(last, done)}/s`);
	else
		figure('the last of them', `${rate(last, done)}/s`,
		    rate(last, done) >= 8000, '>= 8000');
}

/* The workers when each connection would stay if one died. */
function whole() {
	return workers((list) => list.every((w) =>
	    w.state === 'running' && w.kept === w.connections));
}

async function killAll() {
	const all = await whole();
	const from = d.stderr.length, start = Date.now();
	const took = () => [...d.stderr.slice(from).matchAll(
	    /adopted (\d+) connections in (\d+) ms \(closed (\d+), lost (\d+)/g)];

	for (const w of all)
		process.kill(w.pid, 'SIGKILL');
	await until('takeovers', () => took().length >= all.length, 60000);
	const ms = Date.now() - start;
	for (const one of took())
		say(`killed all at once: ${one[0]})`);
	/* a processor takes over one after the other */
	const most = 1500 * Math.ceil(WORKERS / os.availableParallelism());
	figure('taken over after', `${ms} ms`, ms <= most, `<= ${most}`);
	const before = await clients();
	const said = await d.ctl('say', 'is anybody there?');
	if (said.status !== 0)
		throw new Error(`say: ${said.stderr}`);
	const heard = await until('all have heard that', async () => {
		const n = (await clients()).messages - before.messages;
		return n >= N && n;
	}, 20000).catch(async () =>
	    (await clients()).messages - before.messages);
	if (heard !== N)
		wrong++;
	figure('heard what was said to all', heard, heard === N, N);
}

async function kill() {
	const all = await whole();
	const most = all.reduce((a, b) => b.connections > a.connections ? b : a);
	const from = d.stderr.length, start = Date.now();
	const took = () => /adopted .*/.exec(d.stderr.slice(from));

	process.kill(most.pid, 'SIGKILL');
	await until('a takeover', () => took(), 60000);
	const ms = Date.now() - start;
	say(`killed a worker with ${most.connections}: ${took()[0]}`);
	figure('taken over after', `${ms} ms`, ms <= 2000, '<= 2000');
}

async function upgrade() {
	const start = Date.now();
	const child = spawn(path.join(path.dirname(process.env.CHATD),
	    'chatctl'), ['-s', d.socket, 'upgrade'], {stdio: 'inherit'});
	const status = await new Promise((resolve) => child.on('exit', resolve));
	const s = seconds(start);

	if (status !== 0)
		wrong++;
	figure('upgraded after', `${s} s, status ${status}`,
	    status === 0 && s <= 60, '<= 60');
}

async function stop() {
	const start = Date.now();

	d.ctl('stop').catch(() => {});
	const end = await d.exited;
	const s = seconds(start);
	let c;

	for (let tries = 0; tries < 20; tries++) {
		c = await clients();
		if (c.open === 0)
			break;
		await pause(500);
	}
	if (c.closed !== N)
		wrong++;
	figure('stopped after', `${s} s, status ${end.status}`, s <= 60,
	    '<= 60');
	figure('closed by a close frame', `${c.closed}, others ${N - c.closed}` +
	    (c.first && `: ${c.first}`), c.closed === N, 'all');
}

async function main() {
	const missing = room();
	if (missing) {
		console.error(`${NAME}: ${missing}`);
		process.exit(2);
	}
	const size = Math.min(1048576, Math.ceil(N * 1.05));
	d = await (TLS ? tlsDaemon : (o) => Daemon.start(o))({workers: WORKERS,
	    conf: `connections ${size}\nusers ${size}\n`});
	const steps = [
	    ['opening', open], ['opening', () => nobodyLost('while they came')],
	    ['measuring', async () => {
		    const bytes = (pss() - empty) / N;
		    const most = TLS ? 1300 : 450;
		    figure('bytes per connection', bytes.toFixed(0),
			bytes <= most, `<= ${most}`);
	    }],
	    ['killing', TLS ? killAll : kill], ['killing', () => nobodyLost('at the takeover')],
	    ['upgrading', upgrade],
	    ['upgrading', () => nobodyLost('at the upgrade')],
	    ['stopping', stop]];

	await workers((all) => all.every((w) => w.state === 'running'));
	const empty = pss();
	say(`${WORKERS} workers run`);
	try {
		for (const [name, step] of steps) {
			phase = name;
			await step();
		}
	} catch (error) {
		console.error(error);
		wrong++;
	}
	await leave();
}

/* Ends everything, and says what the log has that is not of every day. */
async function leave() {
	const log = d ? d.stderr : '';
	const lines = log.split('\n').filter((line) =>
	    /hung|killed|died|lost [1-9]|stood|late|error|warn/i.test(line));

	for (const g of generators)
		g.kill('SIGKILL');
	await Daemon.killAll();
	if (TLS && d)
		fs.rmSync(d.pemDir, {recursive: true, force: true});
	fs.writeFileSync(path.join(ROOT, `build/bench/${NAME}.log`), log);
	for (const line of lines.slice(0, 20))
		console.log(`        log: ${line}`);
	if (lines.length > 20)
		console.log(`        log: ${lines.length - 20} more, see ` +
		    `build/bench/${NAME}.log`);
	process.exit(wrong ? 1 : 0);
}

setTimeout(() => {
	say(`not over after ${TIME} s: ${phase}`);
	wrong++;
	leave();
}, TIME * 1000);
for (const signal of ['SIGINT', 'SIGTERM'])
	process.on(signal, () => {
		wrong++;
		leave();
	});
main().catch((error) => {
	console.error(error);
	wrong++;
	leave();
});
