/*
 * Requests that are refused, and those that are never complete: what they cost
 * in memory and in lines of the log, and what the log says of them.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('./suite.js');
const {processChildren, processDescriptors, servants, until} = require('./daemon.js');
const {Client, OP, frame, request} = require('./client.js');

const LONG = process.env.LONG !== undefined;
const BURST = 64, PER_S = 1; /* src/base/log.c */
const M = 1024 * 1024;

/* A request for alice, with a field that makes its head so long. */
function sized(bytes) {
	const head = request('/ws?user=alice', {'X-Fill': ''});
	return head.replace('X-Fill: ', 'X-Fill: ' +
	    'x'.repeat(bytes - head.length));
}

/* Sends bytes; resolves to the status of the answer, null: none came. */
async function status(d, bytes) {
	const c = await Client.connect(d.port);
	c.write(bytes);
	const head = await c.head();
	c.drop();
	return head.status;
}

/* Bytes of memory that the processes of a daemon have in all, each page counted
 * once. */
function memory(d) {
	return [d.pid, ...processChildren(d.pid)].map((pid) =>
	    Number(/^Pss:\s+(\d+) kB/m.exec(
		fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]))
	    .reduce((a, b) => a + b, 0) * 1024;
}

/* So many clients that have sent nothing, connected some at a time. */
async function silent(d, n) {
	const all = [];
	while (all.length < n)
		all.push(...await Promise.all(Array.from(
		    {length: Math.min(100, n - all.length)},
		    () => Client.connect(d.port))));
	return all;
}

/* Waits until a daemon's only worker has read what was sent to it before. */
async function turn(d) {
	for (let i = 0; i < 2; i++)
		assert.equal(await status(d, request('/health')), 200);
}

/* Rewrites the configuration and reloads it. */
async function reload(d, text) {
	fs.writeFileSync(d.conf, text);
	const r = await d.ctl('reload');
	assert.equal(r.status, 0, r.stderr);
}

group('request-size', {conf: 'request-size 2K\n', workers: 1}, (test) => {
	test('is obeyed, in one piece and in many', async (d) => {
		assert.equal(await status(d, sized(2048)), 101);
		assert.equal(await status(d, sized(2049)), 431);
		const c = await Client.connect(d.port);
		await c.chop(sized(2048), 100);
		await c.opened();
		await c.close();
		const e = await Client.connect(d.port);
		e.chop(sized(2049), 100);
		const answer = await e.answer();
		assert.equal(answer.status, 431);
		assert.match(answer.body, /over 2048 bytes/);
		e.drop();
		await d.logged(
		    /127\.0\.0\.1:\d+: refused: 431 .*key `request-size`/);
	});
	test('a reload counts for a request on its way, too', async (d) => {
		const c = await Client.connect(d.port);
		const bytes = sized(60000);
		await c.write(bytes.slice(0, 1500));
		await turn(d);
		await reload(d, 'request-size 64K\n');
		await c.write(bytes.slice(1500));
		await c.opened();
		await c.close();
		const e = await Client.connect(d.port);
		await e.write(bytes.slice(0, 3000));
		await turn(d);
		await reload(d, 'request-size 1K\n');
		await e.write(bytes.slice(3000, 3001));
		assert.equal((await e.head()).status, 431);
		e.drop();
		await reload(d, 'request-size 2K\n');
	});
});

group('long requests', {conf: 'request-size 64K\necho yes\n'}, (test) => {
	test('64 KiB, byte by byte at its end, and frames behind it',
	    async (d) => {
		const c = await Client.connect(d.port);
		const head = Buffer.from(request('/echo', {'X-Fill':
		    'x'.repeat(65536 - request('/echo', {'X-Fill': ''}).length)}));
		assert.equal(head.length, 65536);
		await c.write(head.subarray(0, 65400));
		await c.chop(head.subarray(65400));
		await c.opened();
		c.write(frame(OP.TEXT, 'behind'));
		await c.expect(OP.TEXT, 'behind');
		await c.close();
	});
});

/* 8 KB of heads without an end from each of `n` clients. */
async function flood(d, n, limit, slack) {
	const opened = () => servants(d.pid).reduce((sum, pid) =>
	    sum + processDescriptors(pid), 0);
	const base = opened();
	const all = await silent(d, n);
	await until('all are accepted', () => opened() >= base + n);
	const before = memory(d);
	const part = 'GET / HTTP/1.1\r\nHost: a\r\nX-Fill: '.padEnd(8100, 'x');
	for (const c of all)
		c.write(part);
	const evicted = () => all.filter((c) => c.ended).length;
	const fit = Math.ceil(limit / 8192);
	await until('the oldest are closed', () => evicted() >= n - fit, 60000);
	const most = memory(d);
	assert.ok(most - before <= limit + slack,
	    `${(most - before) / M} MiB for heads`);
	/* In the order in which they came, or nearly: each worker has its own. */
	const first = all.slice(0, n / 4).filter((c) => c.ended).length;
	const last = all.slice(-fit / 4).filter((c) => c.ended).length;
	assert.equal(first, n / 4);
	assert.equal(last, 0);
	const c = all.find((x) => x.ended);
	assert.equal((await c.head().catch(() => ({status: 503}))).status, 503);
	assert.equal((await d.json('show', 'stats')).requests_evicted, evicted());
	/* Somebody who comes now is served, however slowly the request comes. */
	const alice = await Client.connect(d.port);
	await alice.chop(request('/ws?user=alice'), 20);
	await alice.opened();
	await alice.close();
	for (const x of all)
		x.drop();
	await until('the memory is given back', () =>
	    memory(d) - before <= slack, 30000);
	return all.length;
}

group('heads without an end', {
	workers: 2, conf: 'input-memory 8M\nhandshake-timeout 1m\n'
}, (test) => {
	test('cost half of input-memory, which comes back', (d) =>
	    flood(d, 3000, 4 * M, 6 * M), {limit: 120000});
});

if (LONG)
	group('10,000 heads without an end', {
		workers: 2, conf: 'handshake-timeout 1m\n'
	}, (test) => {
		test('cost half of input-memory, which comes back', (d) =>
		    flood(d, 10000, 32 * M, 8 * M), {limit: 240000});
	});

/* The lines of the log from `from` on that have that text, without those that
 * say how many more there were; and the sum of these. */
function told(d, from, text) {
	const lines = d.stderr.slice(from).split('\n')
	    .filter((line) => line.includes(text));
	const more = lines.map((line) =>
	    / and (\d+) more in [\d.]+ s like: /.exec(line)).filter((m) => m);
	return {
		lines: lines.length - more.length, mores: more.length,
		sum: lines.length - more.length +
		    more.reduce((n, m) => n + Number(m[1]), 0)
	};
}

group('refusals in the log', {workers: 2}, (test) => {
	test('say who, why, and what an origin was', async (d) => {
		const from = {Origin: 'https://x.example'};
		assert.equal(await status(d, request('/ws?user=a', from)), 403);
		await d.logged(new RegExp('worker \\d: 127\\.0\\.0\\.1:\\d+: ' +
		    'refused: 403 this origin is not allowed: ' +
		    '"https://x\\.example" \\(key `origin` can allow it\\)$'));
		assert.equal(await status(d, request('/nowhere?secret=x')), 404);
		await d.logged(
		    /127\.0\.0\.1:\d+: refused: 404 no such path: "\/nowhere"$/);
		assert.doesNotMatch(d.stderr, /secret/);
		assert.equal(await status(d, request('/ws?user=%22')), 400);
		await d.logged(/127\.0\.0\.1:\d+: refused: 400 user has /);
	});
	test('are one line each, whatever a client sends', async (d) => {
		const size = d.stderr.length;
		await status(d, Buffer.from(request('/ws?user=a', {Origin:
		    'http://"\\\t\xff.example'}), 'latin1'));
		await d.logged(/: "http:\/\/\\"\\\\\\t\\377\.example" \(key/);
		await status(d, request('/%0Aworker%200:%20x'));
		await d.logged(/no such path: "\/%0Aworker%200:%20x"$/);
		for (const line of d.stderr.slice(size).split('\n'))
			assert.match(line, /^$|^\d{4}-.* chatd\[\d+\] \w+/);
	});
	test('come at a rate, and the rest is counted', async (d) => {
		const N = 10000, from = d.stderr.length, begin = Date.now();
		for (let i = 0; i < N; i += 100)
			await Promise.all(Array.from({length: 100}, async () =>
			    assert.equal(await status(d, request('/flood')), 404)));
		await until('all are told of', () =>
		    told(d, from, 'path: "/flood"').sum === N, 5000)
		    .catch((error) => {
			throw new Error(`${error.message}: ` + JSON.stringify(
			    told(d, from, 'path: "/flood"')));
		});
		const s = (Date.now() - begin) / 1000 + 1;
		const {lines, mores} = told(d, from, 'path: "/flood"');
		assert.ok(lines <= 2 * (BURST + s * PER_S), `${lines} in ${s} s`);
		assert.ok(mores <= 2 * s + 2, `${mores} in ${s} s`);
		/* What is said of others meanwhile is not held back. */
		await status(d, request('/ws?user=a', {Origin: 'https://y.a'}));
		await d.logged(/not allowed: "https:\/\/y\.a"/);
	}, {limit: 90000});
	test('what is held back at the end is told before it', async (d) => {
		const N = 500, from = d.stderr.length;
		await Promise.all(Array.from({length: N}, () =>
		    status(d, request('/last'))));
		await d.stop();
		assert.equal(told(d, from, 'refused: 404').sum, N);
	}, {ends: true});
});

group('brief', {workers: 1}, (test) => {
	test('says nothing of those who come and leave', async (d) => {
		for (let i = 0; i < 3; i++)
			await (await Client.user(d.port, `guest${i}`)).close();
		const c = await Client.connect(d.port);
		c.socket.resetAndDestroy();
		await d.ctl('log', 'verbose');
		await (await Client.user(d.port, 'zoe')).close();
		await d.logged(/debug: zoe left$/);
		await d.logged(/debug: zoe joined$/);
		assert.doesNotMatch(d.stderr, /guest|refused/);
	});
});

group('API keys', {
	workers: 1, conf: 'api-key "correct horse battery staple and more"\n'
}, (test) => {
	test('a wrong one is told with its address, not with itself',
	    async (d) => {
		const api = request('/api/publish', {Upgrade: null,
		    Connection: null, 'Sec-WebSocket-Key': null,
		    'Sec-WebSocket-Version': null, 'X-API-Key': 'hunter2',
		    'Content-Length': '2'}, 'POST') + '{}';
		assert.equal(await status(d, api), 401);
		await d.logged(/127\.0\.0\.1:\d+: refused: 401 .*API-Key/);
		assert.doesNotMatch(d.stderr, /hunter2|horse/);
	});
});
