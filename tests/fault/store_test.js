/*
 * The store's processes die, hang and are upgraded while writers of both doors
 * publish to channels that are stored: nobody notices but those who wait for it,
 * and the database has what was accepted, once and in order. What only a
 * machine loses is lost with offsets that leap. LONG=1 takes longer.
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/chatd');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const {group} = require('../system/suite.js');
const {Client} = require('../system/client.js');
const {Line, sdk, subscribed} = require('../system/centrifugo.js');
const {patience} = require('../system/daemon.js');
const {Choir, one, pause, until} = require('./ledger.js');
const {others, storm} = require('./storm.js');
const {List, apart, die, follows, row} = require('./kill_points.js');
const {invariant} = require('./guests.js');
const {Archive, BadDisk, KINDS, LEAP, RULES, judgeOthers, killAll, noise,
    storing, talk} = require('./archive.js');

const {EIO, ENOSPC} = os.constants.errno;
const LINE = 64;           /* of the first process beside workers, hub/line.h */
const KILLS = LONG ? 200 : 25;
const WRITERS = 6;
const STORM_S = LONG ? 600 : 6;
const PAGE_MS = 2500;      /* a page, or that there is none now */
const STORE = new RegExp('^(store/|process/(child|reader_child)|' +
    'hub/(reader|journal|spill|lock|presence))');
const SHARE = LONG ? 1 : 7; /* of its kill points */

/* Writers talk while that is done; then the archive has what was answered. */
function amid(act, {sure = false, holes = false, ...options} = {}) {
	return storing(async (d, archive) => {
		const choir = await Choir.open(d, WRITERS, {kinds: KINDS});
		choir.begin();
		await talk(choir, 50);
		await act(d, choir, archive);
		await talk(choir, 50);
		await choir.end();
		if (sure) {
			assert.deepEqual(choir.all('unknown'), []);
			assert.deepEqual(choir.all('refused'), []);
		}
		judgeOthers(choir);
		await choir.judge(archive, {holes});
		console.log(`     ${choir.count()} done, ` +
		    `${choir.all('refused').length} refused, ` +
		    `${choir.all('unknown').length} unknown`);
		await invariant(d);
		choir.leave();
		await d.clean();
	}, options);
}

/* Publishes, by hand. */
async function publish(line, channel, data) {
	const r = await line.ask('publish', {channel, data});
	assert.ok(r.publish, JSON.stringify(r));
}

/* Asks for the first ten publications of a channel, which the ring has not any
 * more: whether they came, or 100 in time. */
async function page(l, channel, first = 1) {
	const begin = performance.now();
	const r = await l.ask('history', {channel, limit: 10,
	    since: {offset: first - 1, epoch: l.epoch}});
	const ms = performance.now() - begin;
	assert.ok(ms < PAGE_MS * patience(),
	    `${ms} ms: ${JSON.stringify(r).slice(0, 200)}`);
	if (r.error) {
		assert.equal(r.error.code, 100, JSON.stringify(r));
		assert.equal(r.error.temporary, true);
		return false;
	}
	assert.deepEqual(r.history.publications.map((p) => p.offset),
	    Array.from({length: 10}, (_, k) => first + k));
	return true;
}

/* A daemon whose channel has more than its ring, and one who pages there. */
function paging(body) {
	return storing(async (d, archive) => {
		await noise(d, 'told', {n: 1000, bytes: 2000});
		await archive.whole(d);
		const l = await Line.connected(d, '?user=reader');
		const {history} = await l.ask('history', {channel: 'told'});
		l.epoch = history.epoch;
		assert.equal(history.offset, 1000);
		assert.ok(await page(l, 'told'));
		await body(d, l);
	}, {conf: 'journal 1M\n'});
}

group('store', null, (test) => {
	test('what is published is in the database', () => amid(
	    async (d, choir) => talk(choir, 500), {sure: true}),
	{limit: 60000});

	test('each has a filter, and alone maps SQLite', () => storing(
	    async (d) => {
		const maps = (pid) => /libsqlite3/.test(
		    fs.readFileSync(`/proc/${pid}/maps`, 'latin1'));
		for (const kind of ['store', 'store-read']) {
			const {pid} = await row(d, kind);
			const status = fs.readFileSync(`/proc/${pid}/status`,
			    'latin1');
			assert.match(status, /^NoNewPrivs:\t1$/m, kind);
			assert.match(status, /^Seccomp:\t2$/m, kind);
			assert.ok(maps(pid), kind);
		}
		for (const kind of ['worker', 'keeper'])
			assert.ok(!maps((await row(d, kind)).pid), kind);
		assert.ok(!maps(d.pid));
	}));

	test('its channel is reloaded from each word to each other', () => {
		/* each pair once */
		const words = ['no', 'yes', 'no', 'ack', 'no', 'strict', 'yes',
		    'ack', 'yes', 'strict', 'ack', 'strict', 'no'];
		const rule = (word) => `channel "walk" {${RULES}\tstore ` +
		    `${word}\n}\n`;
		return storing(async (d, archive) => {
			const a = sdk(d, '?user=hear'), talkers = [];
			await a.ready(5000);
			const sub = await subscribed(a, 'walk');
			const kept = [], done = [];
			let over = false, word = words[0], n = 0, calm = true;
			let gaps = 0;
			sub.on('subscribed', (c) => {
				gaps += c.wasRecovering && !c.recovered;
			});
			for (let k = 0; k < 8; k++)
				talkers.push((async () => {
					const t = await Line.connected(d,
					    `?user=talk${k}`);
					while (!over) {
						const data = ++n, was = calm && word;
						const r = await t.ask('publish',
						    {channel: 'walk', data});
						if (r.publish)
							done.push(data);
						if (was && calm && was !== 'no' &&
						    was === word) {
							assert.ok(r.publish,
							    JSON.stringify(r));
							kept.push(data);
						} else {
							assert.ok(r.publish ||
							    r.error.code === 504 ||
							    r.error.temporary,
							    JSON.stringify(r));
						}
					}
					t.client.drop();
				})());
			for (word of words) {
				calm = false;
				fs.writeFileSync(d.conf, archive.conf() +
				    rule(word));
				assert.equal((await d.ctl('reload')).status, 0);
				/* all processes have it when what is in hand is
				 * answered */
				await pause(300);
				calm = true;
				const begin = kept.length, at = n;
				await until(`talk with ${word}`, () =>
				    word === 'no' ? n > at + 20
				    : kept.length > begin + 20);
			}
			over = true;
			await Promise.all(talkers);
			await archive.whole(d);
			assert.equal(archive.value(
			    'SELECT count(*) FROM proposal'), 0);
			const rows = archive.judge('walk', {holes: true})
			    .map((m) => Number(m.data));
			assert.equal(new Set(rows).size, rows.length, 'twice');
			const heard = new Set(sub.heard.map((p) => p.data));
			assert.equal(heard.size, sub.heard.length, 'heard twice');
			/* as they were told, so they are stored */
			const other = new Map(sub.heard.map((p) => [p.data,
			    p.offset]));
			if (gaps === 0)
				assert.deepEqual(archive.messages('walk').filter(
				    (m) => other.get(Number(m.data)) !== m.offset)
				    .map((m) => [m.data, m.offset]), []);
			/* nothing is missing of which nobody was told */
			const missed = () => done.filter((k) => !heard.has(k));
			if (gaps === 0)
				await until('all is heard', () =>
				    sub.heard.length >= done.length);
			assert.ok(gaps > 0 || missed().length === 0);
			const there = new Set(rows);
			assert.deepEqual(kept.filter((k) => !there.has(k)), []);
			console.log(`     ${n} said, ${kept.length} to be kept, ` +
			    `${rows.length} rows, ${heard.size} heard, ` +
			    `${gaps} gaps`);
		}, {channels: rule('no')});
	}, {limit: 120000});

	test('a message that waits, and one that does not, at one offset', () => {
		const rule = (word) => `channel "walk" {${RULES}\tstore ` +
		    `${word}\n}\n`;
		return storing(async (d, archive) => {
			const a = await Line.connected(d, '?user=a');
			const b = await Line.connected(d, '?user=b');
			const {subscribe: s} = await b.ask('subscribe',
			    {channel: 'walk'});
			await publish(a, 'walk', 1);
			const {pid} = await row(d, 'store');
			process.kill(pid, 'SIGSTOP');
			const waits = a.ask('publish', {channel: 'walk', data: 2});
			await pause(100);
			fs.writeFileSync(d.conf, archive.conf() + rule('yes'));
			assert.equal((await d.ctl('reload')).status, 0);
			await until('one does not wait', async () =>
			    (await (await Line.connected(d, '?user=c')).ask(
				'publish', {channel: 'walk', data: 3})).publish);
			process.kill(pid, 'SIGCONT');
			await waits;
			await archive.whole(d);
			await d.logged(/"walk" begins another epoch/);
			/* who has got one at its offset goes on from another */
			const r = (await (await Line.connected(d, '?user=d')).ask(
			    'subscribe', {channel: 'walk', recover: true,
				epoch: s.epoch, offset: 2})).subscribe;
			assert.notEqual(r.epoch, s.epoch);
			assert.notEqual(r.recovered, true);
			await publish(b, 'walk', 4);
			await archive.whole(d);
			const all = archive.judge('walk', {holes: true});
			assert.deepEqual(all.map((m) => m.data),
			    ['1', '2', '3', '4']);
			const {history: h} = await b.ask('history',
			    {channel: 'walk', limit: 10});
			assert.equal(h.epoch, r.epoch);
			/* one epoch is enough */
			assert.equal(d.stderr.match(
			    /begins another epoch/g).length, 1);
		}, {channels: rule('strict')});
	}, {limit: 60000});

	test('it is killed again and again', () => amid(async (d, choir) => {
		const deaths = [];
		for (let k = 0; k < KILLS; k++) {
			await talk(choir, 30);
			const {pid} = await row(d, 'store');
			process.kill(pid, 'SIGKILL');
			await follows(d, 'store', pid);
			await apart(deaths);
		}
	}, {sure: true}), {limit: 300000});

	test('it hangs and is replaced', () => amid(async (d, choir) => {
		const {pid} = await row(d, 'store');
		process.kill(pid, 'SIGSTOP');
		await until('it is replaced', async () => {
			const r = await row(d, 'store');
			return r?.pid && r.pid !== pid && r.state === 'running';
		}, 60000);
		await d.logged(/store hung for \d+ ms/);
		await talk(choir, 100);
	}), {limit: 120000});

	test('it dies at each of its kill points', async () => {
		const list = new List();
		try {
			await amid(async (d, choir) => {
				const points = [...list.passes(STORE).keys()]
				    .filter((_, k) => k % SHARE === 0);
				const n = await die(d, list, points, 'store', LINE,
				    'SIGKILL');
				console.log(`     ${n} deaths at ` +
				    `${points.length} points`);
				assert.ok(n >= (LONG ? 20 : 2), `${n} deaths`);
			}, {env: {CHATD_KILL_LIST: list.path}});
		} finally {
			list.remove();
		}
	}, {limit: 600000});

	test('workers are killed while commands wait', () => amid(
	    async (d, choir) => {
		for (let k = 0; k < 12; k++) {
			await talk(choir, 40);
			const w = (await d.json('show', 'workers'))[k % 2];
			if (w.pid)
				process.kill(w.pid, 'SIGKILL');
			if (k % 3 === 0)
				process.kill((await follows(d, 'store')).pid,
				    'SIGKILL');
		}
	}, {sure: true}), {limit: 120000});

	test('an upgrade replaces both processes', () => amid(
	    async (d, choir) => {
		for (let k = 0; k < 2; k++) {
			await talk(choir, 50);
			const {pid} = await row(d, 'store');
			const reads = await row(d, 'store-read');
			const r = await d.ctl('upgrade');
			assert.equal(r.status, 0, r.stderr);
			await until('all are replaced', async () =>
			    (await d.json('show', 'upgrade')).state === 'done',
			    20000);
			await follows(d, 'store', pid);
			await follows(d, 'store-read', reads.pid);
		}
	}, {sure: true}), {limit: 120000});

	test('the memory is copied, and it goes on where it was', () => amid(
	    async (d, choir, archive) => {
		const {top} = archive.channel('told');
		fs.appendFileSync(d.conf, 'users 5000\n');
		const {pid} = await row(d, 'store');
		const r = await d.ctl('upgrade');
		assert.equal(r.status, 0, r.stderr);
		await d.logged(/memory copied in/, 10000);
		await follows(d, 'store', pid);
		await talk(choir, 100);
		await archive.whole(d);
		/* nothing leaps: the journal's number went over */
		assert.ok(archive.channel('told').top < top + LEAP);
	}), {limit: 120000});

	test('what pages is killed', () => paging(async (d, l) => {
		let good = 0;
		for (let k = 0; k < 10; k++) {
			const {pid} = await follows(d, 'store-read');
			const asked = page(l, 'told', 1 + k);
			process.kill(pid, 'SIGKILL');
			good += await asked;
			await follows(d, 'store-read', pid);
			assert.ok(await page(l, 'told', 1 + k),
			    'the next one answers');
		}
		console.log(`     ${good} of 10 answered by the next one`);
	}), {limit: 60000});

	test('what pages hangs', () => paging(async (d, l) => {
		const {pid} = await row(d, 'store-read');
		process.kill(pid, 'SIGSTOP');
		assert.equal(await page(l, 'told'), false);
		/* others are not asked */
		const other = await Line.connected(d, '?user=other');
		await publish(other, 'told', 'meanwhile');
		await publish(other, 'acked', 'meanwhile');
		await until('it is replaced', async () => {
			const r = await row(d, 'store-read');
			return r?.pid && r.pid !== pid && r.state === 'running';
		}, 60000);
		assert.ok(await page(l, 'told'));
	}), {limit: 90000});

	test('a page is asked for while workers die', () => paging(
	    async (d, l) => {
		for (let k = 0; k < 10; k++) {
			const asked = page(l, 'told', 1 + k);
			const w = (await d.json('show', 'workers'))[k % 2];
			if (w.pid)
				process.kill(w.pid, 'SIGKILL');
			assert.ok(await asked || true);
			await until('both run', async () => (await d.json('show',
			    'workers')).every((v) => v.state === 'running'));
		}
		assert.ok(await page(l, 'told'));
	}), {limit: 60000});

	test('all processes are killed: offsets leap, what was acknowledged ' +
	    'is there', async () => {
		const archive = new Archive();
		const acked = [], before = {};
		await storing(async (d) => {
			const l = await Line.connected(d, '?user=a');
			for (const channel of ['told', 'acked', 'strict']) {
				const {subscribe} = await l.ask('subscribe',
				    {channel});
				before[channel] = {epoch: subscribe.epoch};
			}
			/* killed in the midst of it */
			let more = true;
			const done = (async () => {
				for (let k = 0; more; k++) {
					l.say(...['told', 'acked', 'strict'].map(
					    (channel, i) => ({id: 100 + 3 * k + i,
						publish: {channel, data: k}})));
					for (let n = 0; n < 3;) {
						const r = await l.hear();
						if (r.id) {
							n++;
							if (r.id % 3 !== 1)
								acked.push([['told',
								    'acked', 'strict'][
								    (r.id - 100) % 3],
								    k]);
						} else if (r.push?.pub) {
							before[r.push.channel].last =
							    r.push.pub.offset;
						}
					}
				}
			})();
			done.catch(() => {});
			await until('some are done', () => acked.length > 200);
			more = false;
			await killAll(d);
			await d.exited;
		}, {archive, keep: true, sound: false});
		archive.check();
		const stored = {};
		for (const channel of ['told', 'acked', 'strict']) {
			stored[channel] = archive.judge(channel);
			const there = new Set(stored[channel].map((m) => m.data));
			for (const [name, k] of acked)
				if (name === channel && name !== 'told')
					assert.ok(there.has(String(k)),
					    `${name} ${k} was acknowledged`);
		}
		await storing(async (d) => {
			for (const channel of ['told', 'acked', 'strict']) {
				const l = await Line.connected(d, '?user=a');
				const top = stored[channel].at(-1).offset;
				const {epoch, last} = before[channel];
				const from = async (offset) => (await l.ask(
				    'subscribe', {channel, recover: true, offset,
					epoch})).subscribe ?? assert.fail();
				const r = await from(top - 3);
				assert.equal(r.epoch, epoch, channel);
				assert.equal(r.recovered, true, channel);
				assert.deepEqual(r.publications.map((p) =>
				    p.offset), [top - 2, top - 1, top]);
				assert.ok(r.offset >= last &&
				    r.offset >= top + LEAP, `${channel}: ` +
				    `${r.offset}, told ${last}, stored ${top}`);
				await l.ask('unsubscribe', {channel});
				/* one who was told more than is stored */
				const s = await from(top + 2);
				assert.notEqual(s.recovered, true, channel);
				await publish(l, channel, 'again');
				const {pub} = await l.push();
				assert.equal(pub.offset, r.offset + 1);
			}
		}, {archive});
	}, {limit: 90000});

	test('all of it at once', async () => {
		const bad = new BadDisk(BUILD);
		try {
			await amid(async (d, choir, archive) => {
				const came = [];
				await storm(d, STORM_S, ['worker', 'keeper', 'store',
				    'store', 'store-read'], {
					slow: async () => {
						bad.set({syncMs: 200 +
						    Math.floor(Math.random() * 500)});
						await pause(Math.random() * 1000);
						bad.set({syncMs: 0});
					},
					full: async () => {
						bad.set({writeError: one([ENOSPC, EIO])});
						await pause(Math.random() * 1500);
						bad.set({writeError: 0});
					},
					come: async (k) => {
						const c = await others(d, k,
						    {kinds: KINDS});
						return c !== null && came.push(c) > 0;
					}
				});
				await until('it goes on', async () =>
				    (await d.json('store')).state === 'ok', 20000);
				for (const c of came) {
					await c.judge(archive, {holes: true});
					c.leave();
				}
			}, {env: bad.env, holes: true});
		} finally {
			bad.remove();
		}
	}, {limit: STORM_S * 1000 + 120000});

	test('a publication that crashes delivery is stored', () => storing(
	    async (d, archive) => {
		const to = await Client.user(d.port, 'b');
		to.text('/join told');
		assert.equal(await to.heard(), '* joined told');
		const l = await Line.connected(d, '?user=a');
		await publish(l, 'told', 'one');
		l.say({id: 7, publish: {channel: 'told',
		    data: 'crash on delivery'}});
		await d.logged(/crashed two workers/, 20000);
		await until('it is stored', () => archive.count('told') === 2);
		assert.deepEqual(archive.judge('told').map((m) => m.data),
		    ['"one"', '"crash on delivery"']);
	}), {limit: 60000});
});
