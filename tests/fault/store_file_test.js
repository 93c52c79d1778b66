/*
 * A database that is no database, of a later version, of another daemon, on a
 * file system that cannot share memory, or damaged: chatd does not start, or
 * goes on, and never overwrites what it does not understand.
 */
'use strict';

const path = require('node:path');
const {BUILD} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/chatd');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {CHATD, ENV, Daemon, processChildren, processLives, run, until} =
    require('../system/daemon.js');
const {Line} = require('../system/centrifugo.js');
const {pause} = require('./ledger.js');
const {follows, row} = require('./kill_points.js');
const {Archive, BadDisk, CHANNELS, becomes, noise, state, storing} =
    require('./archive.js');

const PAGE = 4096;

/* What a file holds. */
function hash(file) {
	return crypto.createHash('sha256').update(fs.readFileSync(file))
	    .digest('hex');
}

/* `chatd -n` with that configuration. */
async function judged(archive, conf, env) {
	const file = path.join(archive.dir, 'chatd.conf');
	fs.writeFileSync(file, conf);
	const r = await run(CHATD, ['-n', '-f', file], {env: {...ENV, ...env}});
	fs.unlinkSync(file);
	return r;
}

/* chatd does not start with that archive, nor says -n that it would, and both say
 * why; the file stays as it is. */
async function refused(archive, pattern, {env, conf = ''} = {}) {
	const before = hash(archive.file);
	const text = archive.conf() + CHANNELS + conf;
	const r = await judged(archive, text, env);
	assert.notEqual(r.status, 0, r.stdout + r.stderr);
	assert.match(r.stderr + r.stdout, pattern);
	const d = await Daemon.start({conf: text, workers: 2, ready: false, env});
	try {
		await until('chatd leaves', () => d.end, 20000);
		assert.notEqual(d.end.status, 0);
		assert.match(d.stderr, pattern);
	} finally {
		await d.kill();
	}
	assert.equal(hash(archive.file), before);
	assert.deepEqual(fs.readdirSync(archive.dir)
	    .filter((f) => /corrupt|backup/.test(f)), []);
}

/* An archive with rows of three channels, whose daemon has ended. */
async function filled({leave = 'SIGTERM', n = 400} = {}) {
	const archive = new Archive();
	await storing(async (d) => {
		for (const channel of ['told', 'told-b', 'told-c'])
			await noise(d, channel, {n, bytes: 2000});
		await archive.whole(d);
		if (leave === 'SIGKILL')
			await killAll(d);
	}, {archive, keep: true});
	return archive;
}

/* All of its processes end at once. */
async function killAll(d) {
	const family = [d.pid, ...processChildren(d.pid)];
	for (const pid of family)
		process.kill(pid, 'SIGKILL');
	await until('all have ended', () => !family.some(processLives));
	await d.exited;
}

/* The numbers of pages of that kind. */
function pages(archive, where) {
	return archive.rows(`SELECT pageno FROM dbstat WHERE ${where}
	    ORDER BY pageno`).map((r) => r.pageno);
}

/* Overwrites pages with what is no page. */
function spoil(archive, numbers) {
	const fd = fs.openSync(archive.file, 'r+');
	for (const n of numbers)
		fs.writeSync(fd, crypto.randomBytes(PAGE), 0, PAGE,
		    (n - 1) * PAGE);
	fs.closeSync(fd);
}

/* The files that lie beside it with that in their name. */
function aside(archive) {
	return fs.readdirSync(archive.dir).filter((f) => /\.corrupt-/.test(f));
}

/* A page of a channel, from the first on. */
async function page(l, channel, epoch, since, limit = 20) {
	return l.ask('history', {channel, limit, since: {offset: since, epoch}});
}

group('file', null, (test) => {
	test('no database', async () => {
		const archive = new Archive();
		try {
			fs.writeFileSync(archive.file, 'garbage\n'.repeat(1000));
			await refused(archive, /database/);
			/* also one that is too short to be one */
			fs.writeFileSync(archive.file, 'garbage');
			await refused(archive, /database/);
		} finally {
			archive.remove();
		}
	}, {limit: 60000});

	test('a database of something else', async () => {
		const archive = new Archive();
		try {
			execFileSync('sqlite3', [archive.file,
			    'CREATE TABLE publication(a); CREATE TABLE x(a)']);
			await refused(archive, /chatd|database/);
		} finally {
			archive.remove();
		}
	}, {limit: 60000});

	test('a later version', async () => {
		const archive = await filled({n: 5});
		try {
			execFileSync('sqlite3', [archive.file,
			    'PRAGMA user_version = 1000']);
			await refused(archive, /schema 1000/);
		} finally {
			archive.remove();
		}
	}, {limit: 60000});

	test('a reload keeps the one that it has', () => storing(
	    async (d, archive) => {
		await noise(d, 'told', {n: 10});
		const other = path.join(archive.dir, 'other.db');
		fs.writeFileSync(other, 'garbage\n'.repeat(1000));
		fs.writeFileSync(d.conf, `store "${other}"\n${CHANNELS}`);
		const r = await d.ctl('reload');
		console.log(`     ${r.status}: ${(r.stderr + r.stdout).trim()}`);
		await noise(d, 'told', {n: 10});
		await archive.whole(d);
		assert.equal(archive.count('told'), 20);
		assert.equal(fs.readFileSync(other, 'latin1'),
		    'garbage\n'.repeat(1000));
		assert.equal((await state(d)).state, 'ok');
	}), {limit: 60000});

	test('`ack` with `store-sync normal` is refused', async () => {
		const archive = new Archive();
		try {
			const r = await judged(archive, archive.conf() +
			    'store-sync normal\n' + CHANNELS);
			assert.notEqual(r.status, 0);
			assert.match(r.stderr + r.stdout, /store-sync|normal/);
			const good = await judged(archive, archive.conf() +
			    'store-sync normal\nchannel "*" {\n\tstore yes\n' +
			    '\thistory 10\n}\n');
			assert.equal(good.status, 0, good.stderr + good.stdout);
			/* -n has made nothing */
			assert.deepEqual(fs.readdirSync(archive.dir), []);
		} finally {
			archive.remove();
		}
	});

	test('two daemons', () => storing(async (d, archive) => {
		const conf = archive.conf() + CHANNELS;
		await noise(d, 'told', {n: 10});
		const second = await Daemon.start({conf, workers: 2,
		    ready: false});
		try {
			await until('the second leaves', () => second.end, 20000);
			assert.notEqual(second.end.status, 0);
			assert.match(second.stderr, /another|locked|in use/);
		} finally {
			await second.kill();
		}
		const {done} = await noise(d, 'told', {n: 10});
		assert.equal(done.length, 10);
		await archive.whole(d);
		assert.equal(archive.judge('told').length, 20);
		assert.equal((await state(d)).state, 'ok');
	}), {limit: 60000});

	test('a file system without shared memory', async () => {
		const archive = await filled({n: 5}), bad = new BadDisk(BUILD);
		try {
			for (const type of [0x6969 /* NFS */, 0xff534d42 /* CIFS */,
			    0xfe534d42 /* SMB2 */]) {
				bad.set({fsType: type});
				await refused(archive, /share memory/,
				    {env: bad.env});
			}
			bad.set({fsType: 0});
			const r = await judged(archive, archive.conf() + CHANNELS,
			    bad.env);
			assert.equal(r.status, 0, r.stderr);
		} finally {
			bad.remove();
			archive.remove();
		}
	}, {limit: 60000});

	test('a damaged page is met in reading', async () => {
		const archive = await filled();
		const leaves = pages(archive,
		    "name = 'publication' AND pagetype = 'leaf'");
		assert.ok(leaves.length > 100);
		spoil(archive, leaves.slice(10, 20)); /* of the first rows */
		await storing(async (d) => {
			const l = await Line.connected(d, '?user=a');
			const {subscribe} = await l.ask('subscribe',
			    {channel: 'told'});
			const {epoch} = subscribe;
			for (let k = 0; k < 2; k++) {
				const r = await page(l, 'told', epoch, 0, 100);
				assert.equal(r.error?.code, 100,
				    JSON.stringify(r).slice(0, 300));
			}
			const s = await becomes(d, 'damaged');
			console.log(`     ${JSON.stringify(s)}`);
			const lines = d.stderr.split('\n').filter((line) =>
			    /damaged|corrupt|malformed/.test(line));
			assert.equal(lines.length, 1, lines.join('\n'));
			/* all else goes on */
			const other = (await l.ask('subscribe',
			    {channel: 'told-c'})).subscribe;
			const r = await page(l, 'told-c', other.epoch, 100);
			assert.equal(r.history?.publications.length, 20,
			    JSON.stringify(r).slice(0, 300));
			const {done} = await noise(d, 'told', {n: 50});
			assert.equal(done.length, 50);
			assert.deepEqual(aside(archive), []);
			await archive.whole(d);
			assert.ok(archive.value(`SELECT max(offset) FROM publication
			    WHERE channel = (SELECT id FROM channel WHERE
			    name = 'told')`) >= 450);
		}, {archive, sound: false, conf: 'journal 1M\n'});
	}, {limit: 60000});

	test('a damaged page is met in deleting what is too much', async () => {
		const archive = await filled();
		spoil(archive, pages(archive,
		    "name = 'publication' AND pagetype = 'leaf'").slice(0, 10));
		await storing(async (d) => {
			const s = await becomes(d, 'damaged');
			assert.match(s.reason, /pruning/);
			const count = () => d.stderr.split('\n').filter((line) =>
			    /damaged|corrupt|malformed/.test(line)).length;
			assert.equal(count(), 1);
			const {done} = await noise(d, 'told', {n: 50});
			assert.equal(done.length, 50);
			await archive.whole(d);
			assert.equal((await state(d)).state, 'damaged');
			assert.equal(count(), 1);
			assert.deepEqual(aside(archive), []);
		}, {archive, sound: false, conf: 'store-size 1M\n'});
	}, {limit: 60000});

	test('what can be read of a damaged file goes on', async () => {
		const archive = await filled(), saved = new Archive();
		let top, epoch;
		spoil(archive, pages(archive,
		    "name = 'publication' AND pagetype = 'leaf'").slice(10, 15));
		try {
			/* as chatd-store(5) says */
			const r = await run(path.join(path.dirname(CHATD),
			    'libexec/chatd/chatd-store'),
			    ['-R', archive.file, saved.file]);
			assert.equal(r.status, 0, r.stderr);
			console.log(`     ${(r.stdout + r.stderr).trim()
			    .replace(/\n/g, '; ')}`);
			for (const file of fs.readdirSync(saved.dir))
				fs.chmodSync(path.join(saved.dir, file), 0o666);
			({top, epoch} = saved.channel('told-c'));
			const rows = saved.value('SELECT count(*) FROM publication');
			assert.ok(rows > 1000 && rows < 1200, `${rows}`);
			await storing(async (d) => {
				const l = await Line.connected(d, '?user=a');
				const {subscribe} = await l.ask('subscribe',
				    {channel: 'told-c'});
				assert.equal(subscribe.epoch, (await l.ask('history',
				    {channel: 'told-c'})).history.epoch);
				assert.equal(subscribe.offset, top);
				/* what was lost may have been told */
				assert.notEqual(saved.channel('told-c').epoch,
				    epoch);
				const {done} = await noise(d, 'told-c', {n: 10});
				assert.equal(done.length, 10);
				await saved.whole(d);
				assert.equal(saved.judge('told-c', {holes: true})
				    .length, 410);
			}, {archive: saved, keep: true});
		} finally {
			archive.remove();
			saved.remove();
		}
	}, {limit: 60000});

	test('after an unclean end the file is looked at', async () => {
		const archive = await filled({leave: 'SIGKILL'});
		const leaves = pages(archive,
		    "name = 'publication' AND pagetype = 'leaf'");
		/* what the WAL has is in the file */
		execFileSync('sqlite3', [archive.file,
		    'PRAGMA wal_checkpoint(TRUNCATE)']);
		spoil(archive, leaves.slice(10, 12));
		await storing(async (d) => {
			await becomes(d, 'damaged');
			await d.logged(/damaged|corrupt|malformed/);
			const {done} = await noise(d, 'told-d', {n: 50});
			assert.equal(done.length, 50);
			assert.deepEqual(aside(archive), []);
		}, {archive, sound: false});
	}, {limit: 60000});

	test('after a clean one it is not', async () => {
		const archive = await filled();
		const leaves = pages(archive,
		    "name = 'publication' AND pagetype = 'leaf'");
		spoil(archive, leaves.slice(10, 12));
		await storing(async (d) => {
			await noise(d, 'told-d', {n: 200});
			await pause(500);
			assert.equal((await state(d)).state, 'ok');
		}, {archive, sound: false});
	}, {limit: 60000});

	test('a page that is to be written is damaged', async () => {
		const archive = await filled();
		spoil(archive, pages(archive, `name IN ('publication',
		    'sqlite_autoindex_publication_1') AND pagetype = 'leaf'`)
		    .slice(-200));
		await storing(async (d) => {
			const {done, unknown} = await noise(d, 'told-new',
			    {n: 50});
			assert.deepEqual([done.length, unknown.length], [50, 0]);
			await d.logged(/\.corrupt-/, 20000);
			assert.ok(aside(archive).length > 0);
			await archive.whole(d);
			assert.deepEqual(archive.judge('told-new').map((m) =>
			    JSON.parse(m.data).k), done);
			assert.equal((await state(d)).state, 'ok');
		}, {archive});
	}, {limit: 60000});

	for (const [how, said] of [
	    ['deleted', /deleted, renamed or replaced/],
	    ['replaced', /deleted, renamed or replaced/],
	    ['copied over', /another file was copied over/],
	    ['without its log', /-wal was deleted/]])
		test(`the file is ${how} under its eyes`, async () => {
			const archive = new Archive();
			await storing(async (d) => {
				await noise(d, 'acked', {n: 20});
				await archive.whole(d);
				const copy = `${archive.file}.copy`;
				execFileSync('sqlite3', [archive.file,
				    `VACUUM INTO '${copy}'`]);
				fs.chmodSync(copy, 0o666);
				await noise(d, 'acked', {n: 20});
				if (how === 'deleted')
					fs.unlinkSync(archive.file);
				else if (how === 'replaced')
					fs.renameSync(copy, archive.file);
				else if (how === 'copied over')
					fs.copyFileSync(copy, archive.file);
				else
					fs.unlinkSync(`${archive.file}-wal`);
				await d.logged(said);
				await d.logged(/the store goes on/, 10000);
				await becomes(d, 'ok');
				const {done} = await noise(d, 'acked', {n: 20});
				assert.equal(done.length, 20);
				/* a message that was acknowledged is there */
				assert.deepEqual(archive.messages('acked').slice(-20)
				    .map((m) => JSON.parse(m.data).k), done);
				if (how !== 'deleted')
					assert.equal(archive.messages('acked').length,
					    60);
				assert.deepEqual(aside(archive), []);
			}, {archive});
		}, {limit: 60000});

	test('damage is met in writing: a new database is begun', async () => {
		const archive = await filled();
		let epoch;
		await storing(async (d) => {
			const l = await Line.connected(d, '?user=a');
			({subscribe: {epoch}} = await l.ask('subscribe',
			    {channel: 'told'}));
			/* all but the schema, under its eyes */
			const {pid} = await row(d, 'store');
			const last = fs.statSync(archive.file).size / PAGE;
			await becomes(d, 'ok');
			spoil(archive, Array.from({length: last - 1},
			    (_, k) => k + 2));
			process.kill(pid, 'SIGKILL');
			await follows(d, 'store', pid);
			await d.logged(/\.corrupt-/, 20000);
			const [file] = aside(archive);
			assert.ok(file, fs.readdirSync(archive.dir).join(' '));
			/* who is there is told, and goes on */
			const push = await l.push();
			assert.ok(push.unsubscribe?.code === 2500 ||
			    push.disconnect?.code === 3010, JSON.stringify(push));
			const {done, refused} = await noise(d, 'told', {n: 50});
			assert.deepEqual([done.length, refused.length], [50, 0]);
			await archive.whole(d);
			assert.equal(archive.judge('told').length, 50);
			const again = await (await Line.connected(d, '?user=b'))
			    .ask('subscribe', {channel: 'told', recover: true,
				offset: 3, epoch});
			assert.notEqual(again.subscribe.epoch, epoch);
			assert.notEqual(again.subscribe.recovered, true);
			console.log(`     ${d.stderr.split('\n').filter((line) =>
			    /corrupt/.test(line)).join('\n     ')}`);
		}, {archive});
	}, {limit: 60000});
});
