/* Pages of what the ring has no more, by Centrifugo's own client, the server API
 * and "/history". */
'use strict';

const assert = require('node:assert/strict');
const {group: rawGroup} = require('./suite.js');
const {processDescriptors} = require('./daemon.js');
const {Client} = require('./client.js');
const {Archive, rules} = require('../fault/archive.js');
const {follows, row} = require('../fault/kill_points.js');
const {sdk, sdkLeave, subscribed} = require('./centrifugo.js');

const KEY = 'a key of tests';
const ALL = 4500;
const archive = new Archive();
process.on('exit', () => archive.remove());

/* A daemon with a small ring, which the store is never behind by. */
const CONF = `${archive.conf()}journal 1M
insecure yes
api-key "${KEY}"
message-rate 0
${rules('room*', '\tstore ack\n')}channel "short" {
	subscribe all
	publish all
	history 50
	store ack
}
`;

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

group('past', {conf: CONF, workers: 2}, (test) => {
	test('all messages are paged back, and forth', async (d) => {
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
		const read = [];
		for (let ask = '/history room 1000'; ask !== undefined;) {
			bob.text(ask);
			const [head, ...lines] = (await bob.heard()).split('\n');
			read.unshift(...lines.map((l) => +/"n":(\d+),/.exec(l)[1]));
			[ask] = /\/history.*/.exec(head) ?? [];
		}
		assert.deepEqual(read, upTo(ALL));
		await bob.close();
	}, {limit: 60000});

	test('history bounds it', async (d) => {
		const a = sdk(d, '?user=alice');
		const s = await subscribed(a, 'short');
		await publish(s, 1, 200);
		await publish(await subscribed(a, 'room4'), 1, 4000);
		assert.deepEqual((await pages(s, 20, true)).reverse(),
		    upTo(200).slice(150));
	}, {limit: 60000});

	test('a page comes over planned turns of workers', async (d) => {
		const s = await subscribed(sdk(d, '?user=alice'), 'room');
		const {epoch} = await s.history({limit: 0});
		for (const command of ['restart-worker 0', 'restart-worker 1',
		    'upgrade', 'rebalance']) {
			const {pid} = await row(d, 'store-read');
			process.kill(pid, 'SIGSTOP');
			const page = s.history({limit: 9,
			    since: {offset: 100, epoch}});
			const done = d.ctl(...command.split(' '));
			/* it does not leave before */
			setTimeout(() => process.kill(pid, 'SIGCONT'), 300);
			assert.deepEqual((await page).publications
			    .map((p) => p.data.n), upTo(109).slice(100),
			    command);
			await done;
			await follows(d, 'store-read');
		}
	}, {limit: 60000});
});
