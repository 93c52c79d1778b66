/* Pages of what the ring has no more: by the npm SDK, the server API and
 * "/history", and what those are told when it cannot be read. */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {group: rawGroup} = require('./suite.js');
const {processChildren, processDescriptors, processTitle, until} =
    require('./daemon.js');
const {Client} = require('./client.js');
const {follows} = require('../fault/kill_points.js');
const {event, sdk, sdkLeave, subscribed} = require('./centrifugo.js');

const KEY = 'a key of tests';
const ALL = 10000;
const dirs = [];

/* A folder for a database, gone at the end. */
function folder() {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-past-'));
	fs.chmodSync(dir, 0o777); /* the daemon's user is another one */
	dirs.push(dir);
	return dir;
}
process.on('exit', () => dirs.forEach((dir) =>
    fs.rmSync(dir, {recursive: true, force: true})));

/* A daemon with a small ring and a database. */
function conf(more = '') {
	return `store ${path.join(folder(), 'chat.db')}
store-sync normal
journal 1M
insecure yes
api-key "${KEY}"
message-rate 0
${more}
channel "room*" {
	subscribe all
	publish all
	history 100000
	history-age off
	recovery yes
	store yes
}
channel "short" {
	subscribe all
	publish all
	history 50
	recovery yes
	store yes
}
`;
}

/* A group whose tests leave no client of the SDK behind. */
function group(name, options, declare) {
	rawGroup(name, options, (test) => declare((title, body, more) =>
	    test(title, async (d) => {
		try {
			await follows(d, 'store-read');
			d.descriptors = processDescriptors(d.pid);
			await body(d);
		} finally {
			sdkLeave();
		}
	}, more)));
}

/* A request of a backend. */
async function api(d, method, body) {
	const r = await fetch(`http://127.0.0.1:${d.port}/api/${method}`, {
		method: 'POST', headers: {'X-API-Key': KEY},
		body: JSON.stringify(body)});
	assert.equal(r.status, 200);
	return r.json();
}

/* Publishes the numbers from first to last, some at a time. */
async function publish(s, first, last) {
	for (let n = first; n <= last; n += 100)
		await Promise.all(Array.from(
		    {length: Math.min(100, last - n + 1)},
		    (_, k) => s.publish({n: n + k, text: 'x'.repeat(150)})));
}

/* All that a channel has, page by page. */
async function pages(s, limit, reverse, ask = (o) => s.history(o)) {
	const all = [];
	let since;
	for (;;) {
		const page = await ask({limit, since, reverse});
		if (page.publications.length === 0)
			return all;
		all.push(...page.publications.map((p) => p.data.n));
		since = {offset: page.publications.at(-1).offset,
		    epoch: page.epoch};
	}
}

const upTo = (n) => Array.from({length: n}, (_, k) => k + 1);

/* The process that reads pages. */
function pager(d) {
	return processChildren(d.pid).find((p) => {
		try {
			return processTitle(p).startsWith('chatd: store-read');
		} catch {
			return false; /* it has just ended */
		}
	});
}

group('past', {conf: conf(), workers: 2}, (test) => {
	test('10,000 messages are paged back, and forth', async (d) => {
		const s = await subscribed(sdk(d, '?user=alice'), 'room');
		await publish(s, 1, ALL);
		const back = await pages(s, 100, true);
		assert.deepEqual(back.reverse(), upTo(ALL));
		assert.deepEqual(await pages(s, 500, false), upTo(ALL));
	}, {limit: 120000});

	test('an API and the plain door have them, too', async (d) => {
		const all = await pages(null, 1000, true, async (o) =>
		    (await api(d, 'history', {channel: 'room', ...o})).result);
		assert.deepEqual(all.reverse(), upTo(ALL));
		const bob = await Client.open(d.port, '/ws?user=bob');
		bob.text('/history room 100');
		const text = await bob.heard();
		assert.equal(text.split('\n').length, 101);
		assert.match(text, new RegExp(`"n":${ALL},`));
		assert.match(text, new RegExp(`"n":${ALL - 99},`));
		await bob.close();
	}, {limit: 60000});

	test('who was away for 900 messages recovers', async (d) => {
		const a = sdk(d, '?user=alice'), b = sdk(d, '?user=bob');
		const x = await subscribed(a, 'room2');
		const y = await subscribed(b, 'room2');
		await publish(x, 1, 10);
		await until('heard', () => y.heard.length === 10);
		b.disconnect();
		await publish(x, 11, 910);
		/* so that the ring has none of them */
		const other = await subscribed(a, 'room3');
		await publish(other, 1, 5000);
		const again = event(y, 'subscribed');
		b.connect();
		const context = await again;
		assert.equal(context.recovered, true);
		await until('all heard', () => y.heard.length === 910);
		assert.deepEqual(y.heard.map((p) => p.data.n), upTo(910));
		/* for more it is not */
		b.disconnect();
		await publish(x, 911, 2000);
		await publish(other, 5001, 9000);
		const third = event(y, 'subscribed');
		b.connect();
		assert.equal((await third).recovered, false);
	}, {limit: 120000});

	test('history bounds it', async (d) => {
		const a = sdk(d, '?user=alice');
		const s = await subscribed(a, 'short');
		await publish(s, 1, 200);
		await publish(await subscribed(a, 'room4'), 1, 5000);
		assert.deepEqual((await pages(s, 20, true)).reverse(),
		    upTo(200).slice(150));
	}, {limit: 60000});

	test('a page is asked again when its process dies', async (d) => {
		const s = await subscribed(sdk(d, '?user=alice'), 'room');
		const from = {limit: 50, since: {offset: 200,
		    epoch: (await s.history({limit: 0})).epoch}};
		for (let k = 0; k < 5; k++) {
			const pid = pager(d);
			process.kill(pid, 'SIGSTOP');
			const page = s.history(from);
			setTimeout(() => process.kill(pid, 'SIGKILL'), 100);
			assert.deepEqual((await page).publications
			    .map((p) => p.data.n), upTo(250).slice(200));
			await until('another one', () => pager(d) &&
			    pager(d) !== pid);
		}
	}, {limit: 60000});

	test('one that hangs: refused for now after 2 s', async (d) => {
		const s = await subscribed(sdk(d, '?user=alice'), 'room');
		const pid = pager(d);
		process.kill(pid, 'SIGSTOP');
		const begin = Date.now();
		await assert.rejects(s.history({limit: 5}),
		    {code: 100, temporary: true});
		const ms = Date.now() - begin;
		assert.ok(ms >= 1900 && ms < 4000, `${ms} ms`);
		/* the chat goes on meanwhile */
		await s.publish({n: ALL + 1});
		assert.equal((await s.history({limit: 1, reverse: true}))
		    .publications[0].data.n, ALL + 1);
		process.kill(pid, 'SIGCONT');
		assert.equal((await s.history({limit: 5})).publications.length,
		    5);
	}, {limit: 30000});

	test('workers die while pages are waited for', async (d) => {
		const s = await subscribed(sdk(d, '?user=alice'), 'room');
		const epoch = (await s.history({limit: 0})).epoch;
		for (let k = 0; k < 5; k++) {
			const pid = pager(d);
			process.kill(pid, 'SIGSTOP');
			const page = s.history({limit: 50,
			    since: {offset: 300 + k, epoch}});
			const before = await d.json('show', 'workers');
			for (const w of before.filter((l) => l.role === 'worker'))
				process.kill(w.pid, 'SIGKILL');
			setTimeout(() => process.kill(pid, 'SIGCONT'), 200);
			assert.deepEqual((await page).publications
			    .map((p) => p.data.n),
			    upTo(350 + k).slice(300 + k));
		}
	}, {limit: 60000});
});
