/*
 * Channels are opened where that is not the usual case: many at once, while the
 * disk is of no use, by the next process, and where another process has written
 * over what asks for it.
 */
'use strict';

const path = require('node:path');
const {BUILD} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/chatd');
const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const {group} = require('../system/suite.js');
const {Client} = require('../system/client.js');
const {Line} = require('../system/centrifugo.js');
const {Archive, BadDisk, CHANNELS, becomes, noise, storing} =
    require('./archive.js');
const {patience} = require('./crowd.js');
const {pause} = require('./ledger.js');
const {follows, row} = require('./kill_points.js');

const OWN = 'channel "#*" {\n\tstore yes\n\thistory 100\n}\n';
const SMALL = 'journal 1M\n';
const SOON_MS = 2500; /* the look for those that ask in silence, and a second */

/* It is done, and soon. */
async function soon(what, answer) {
	const begin = performance.now(), r = await answer;
	const ms = performance.now() - begin;
	assert.ok(!r.error, `${what}: ${JSON.stringify(r)}`);
	assert.ok(ms < SOON_MS * patience(), `${what}: ${ms} ms`);
	return r;
}

/* An archive with n channels "told-K" of 256 messages each. */
async function filled(n) {
	const archive = new Archive();
	await storing(async (d) => {
		const {done} = await noise(d, 'told-0', {n: 256, bytes: 300});
		assert.equal(done.length, 256);
		await archive.whole(d);
	}, {archive, keep: true});
	execFileSync('sqlite3', [archive.file, `PRAGMA foreign_keys = OFF;
		BEGIN;
		WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n
		    WHERE k < ${n - 1})
		INSERT INTO channel(name, epoch, top, seen)
		    SELECT 'told-' || k, c.epoch, c.top, c.seen FROM n, channel c
		    WHERE c.name = 'told-0';
		INSERT INTO publication SELECT p.id + 1000 * c.id, c.id, p.offset,
		    p.before, p.time, p.sender, p.user, p.format, p.data, p.info,
		    p.sub_info, p.tags, p.erased FROM channel c JOIN publication p
		    WHERE c.name GLOB 'told-[1-9]*' AND p.channel =
		    (SELECT id FROM channel WHERE name = 'told-0');
		COMMIT;`]);
	return archive;
}

/* Where the flags of a channel are in shared memory: before its name, which
 * ends its entry's 64 bytes. */
function flagsOf(d, name) {
	const ENTRY = 64, INLINE = 23, STEP = 1 << 22;
	const folder = `/proc/${d.pid}/fd`;
	const file = fs.readdirSync(folder).find((k) => /memfd:chatd \(/.test(
	    fs.readlinkSync(path.join(folder, k))));
	const fd = fs.openSync(path.join(folder, file), 'r+');
	const chunk = Buffer.alloc(STEP);
	for (let at = 0, n; (n = fs.readSync(fd, chunk, 0, STEP, at)) > 0; at += n)
		for (let k = -1; (k = chunk.indexOf(name, k + 1)) >= 0 && k < n;)
			if ((k + INLINE) % ENTRY === 0)
				return {
					get: () => {
						const b = Buffer.alloc(1);
						fs.readSync(fd, b, 0, 1, at + k - 1);
						return b[0];
					},
					set: (flags) => fs.writeSync(fd,
					    Buffer.from([flags]), 0, 1, at + k - 1)
				};
	throw new Error(`no entry of ${name}`);
}

group('store, openings', null, (test) => {
	test('many at once: what is said meanwhile is stored', async () => {
		const N = 16, SAID = 500, archive = await filled(N);
		await storing(async (d) => {
			const {pid} = await row(d, 'store');
			const conns = [];
			for (let k = 0; k < N; k++)
				conns.push(await Line.connected(d, `?user=u${k}`));
			const l = await Line.connected(d, '?user=a');
			assert.ok((await l.ask('publish', {channel: 'told-new',
			    data: 'first'})).publish);
			await archive.whole(d);
			process.kill(pid, 'SIGSTOP');
			/* more than it takes before it opens */
			const asked = Promise.all(conns.map((c, k) =>
			    c.ask('history', {channel: `told-${k}`, limit: 1})));
			for (let k = 0; k < SAID; k++)
				l.say({id: 10 + k, publish:
				    {channel: 'told-new', data: k}});
			for (let k = 0; k < SAID; k++)
				assert.ok((await l.hear()).publish);
			process.kill(pid, 'SIGCONT');
			for (const r of await asked)
				assert.equal(r.history?.offset, 256,
				    JSON.stringify(r).slice(0, 300));
			await archive.whole(d);
			assert.equal(archive.judge('told-new').length, 1 + SAID);
		}, {archive, conf: SMALL + 'message-rate 100000/s\n'});
	}, {limit: 60000});

	test('while the disk is full, and more is unread than may be', () => {
		const bad = new BadDisk(BUILD);
		return storing(async (d, archive) => {
			const away = await Client.user(d.port, 'away');
			away.drop();
			const l = await Line.connected(d, '?user=a');
			assert.ok((await l.ask('publish', {channel: 'told',
			    data: 1})).publish);
			await archive.whole(d);
			bad.set({writeError: os.constants.errno.ENOSPC});
			for (let k = 0; k < 150; k++)
				assert.ok((await l.ask('publish', {channel: 'told',
				    data: 'x'.repeat(4000)})).publish);
			await becomes(d, 'full');
			await soon('a new one',
			    l.ask('subscribe', {channel: 'told-a'}));
			await soon('without having it',
			    l.ask('publish', {channel: 'told-b', data: 1}));
			const p = await Client.user(d.port, 'p');
			for (const [text, answer] of [
			    ['/join told-c', '* joined told-c'],
			    ['/msg nobody hi', '* nobody is not connected'],
			    ['/msg away hi\n/leave told-c', '* left told-c']]) {
				for (const line of text.split('\n'))
					p.text(line);
				assert.equal(await soon(text, p.heard()), answer);
			}
			bad.set({writeError: 0});
			await becomes(d, 'ok');
			await archive.whole(d);
			assert.equal(archive.count('told-b'), 1);
			assert.equal(archive.count('#away'), 1);
			assert.equal(archive.channel('#nobody'), undefined);
		}, {channels: CHANNELS + OWN, conf: SMALL, env: bad.env})
		    .finally(() => bad.remove());
	}, {limit: 60000});

	test('the next process begins nobody who never was', () => storing(
	    async (d, archive) => {
		const {pid} = await row(d, 'store');
		const a = await Client.user(d.port, 'a');
		process.kill(pid, 'SIGSTOP');
		a.text('/msg nobody hi');
		await pause(200); /* it is asked */
		process.kill(pid, 'SIGKILL');
		assert.equal(await a.heard(), '* nobody is not connected');
		await archive.whole(d);
		assert.equal(archive.channel('#nobody'), undefined);
	}, {channels: CHANNELS + OWN}), {limit: 60000});

	test('another process has written that it opens', () => storing(
	    async (d, archive) => {
		const l = await Line.connected(d, '?user=a');
		assert.ok((await l.ask('publish', {channel: 'told-victim',
		    data: 1})).publish);
		const flags = flagsOf(d, 'told-victim');
		flags.set(flags.get() & 0x3f | 2 << 6);
		await soon('it opens again',
		    l.ask('publish', {channel: 'told-victim', data: 2}));
		await archive.whole(d);
		assert.deepEqual(archive.judge('told-victim').map((m) => m.data),
		    ['1', '2']);
	}), {limit: 60000});
});
