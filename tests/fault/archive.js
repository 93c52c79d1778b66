/*
 * archive: a database that a daemon's store writes, in a folder or a small file
 * system of its own, and what is in it, as the program sqlite3 tells; a Choir
 * (ledger.js) compares with it as with a book.
 *
 *	await storing(async (d, archive) => {
 *		const choir = await Choir.open(d, 6, {kinds: KINDS});
 *		...
 *		await choir.judge(archive);
 *	}, {disk: '6M'});
 *
 * Channels whose names begin with "told" are stored, with "acked" answered when
 * they are, with "strict" delivered then, with "plain" not stored.
 */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {Line, sdkLeave} = require('../system/centrifugo.js');
const {Client} = require('../system/client.js');
const {Daemon, pause, processChildren, processDescriptors, processLives, until} =
    require('../system/daemon.js');
const {JsonWriter} = require('./ledger.js');
const {patience} = require('./crowd.js');
const {follows, row} = require('./kill_points.js');

const KINDS = ['told', 'acked', 'strict', 'plain'];
const RULES = `
	subscribe all
	publish all
	history 100000
	recovery yes
	presence yes
`;
const rules = (pattern, more = '') => `channel "${pattern}" {${RULES}${more}}\n`;
const CHANNELS = rules('told*', '\tstore yes\n') +
    rules('acked*', '\tstore ack\n') + rules('strict*', '\tstore strict\n') +
    rules('plain*');
const API_KEY = 'a key'; /* of the server API, where a test sets it */
const LEAP = 1 << 20; /* after an end that was not clean */
const MESSAGE_LAST = 2; /* enum publication_format: texts and JSON */
const WAIT_MS = 20000;
const QUICK_MS = 1500; /* for a command that waits for nobody */

/* Mounted, and made, until the process ends. */
const mounted = new Set();
const folders = new Set();
process.on('exit', () => {
	for (const dir of mounted)
		unmount(dir);
	for (const dir of process.env.KEEP ? [] : folders)
		fs.rmSync(dir, {recursive: true, force: true});
});

/* Takes a file system away, also one that is in use. */
function unmount(dir) {
	execFileSync('umount', ['-l', dir]);
	mounted.delete(dir);
}

class Archive {
	/* disk: the size of a file system of its own, which takes root. */
	constructor(disk) {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'archive-'));
		folders.add(this.dir);
		if (disk) {
			execFileSync('mount', ['-t', 'tmpfs', '-o',
			    `size=${disk},mode=777`, 'archive', this.dir]);
			mounted.add(this.dir);
		}
		fs.chmodSync(this.dir, 0o777); /* children have another user */
		this.file = path.join(this.dir, 'chat.db');
	}

	conf() {
		return `store "${this.file}"\n`;
	}

	/* The disk has that size now. */
	grow(size) {
		execFileSync('mount', ['-o', `remount,size=${size}`, this.dir]);
	}

	/* What a question is answered, as objects; [] while there is no
	 * database. */
	rows(sql, file = this.file) {
		const text = execFileSync('sqlite3', ['-readonly', '-json', '-cmd',
		    '.timeout 5000', file, sql],
		    {encoding: 'utf8', maxBuffer: 1 << 29,
			stdio: ['ignore', 'pipe', 'pipe']});
		return text ? JSON.parse(text) : [];
	}

	/* The one value that it is answered. */
	value(sql, file) {
		return Object.values(this.rows(sql, file)[0] ?? {})[0];
	}

	/* The rows of a channel, in the order of the journal. */
	all(channel) {
		return this.rows(`SELECT p.id AS position, c.name AS channel,
		    p.offset, p.before, p.time, p.sender, p.user, p.format,
		    CAST(p.data AS TEXT) AS data FROM publication p JOIN channel c
		    ON c.id = p.channel WHERE c.name = '${channel}'
		    ORDER BY p.id`);
	}

	/* Those that are messages. */
	messages(channel) {
		return this.all(channel).filter((m) => m.format <= MESSAGE_LAST);
	}

	count(channel) {
		return this.value(`SELECT count(*) FROM publication p JOIN channel c
		    ON c.id = p.channel WHERE c.name = '${channel}' AND
		    format <= ${MESSAGE_LAST}`);
	}

	/* The holes of a channel. */
	holes(channel) {
		return this.rows(`SELECT h.after, h.before, h.why FROM hole h JOIN
		    channel c ON c.id = h.channel WHERE c.name = '${channel}'
		    ORDER BY h.after`);
	}

	/* Where a channel stands. */
	channel(name) {
		return this.rows(`SELECT top, printf('%016x', epoch) AS epoch,
		    name, seen FROM channel WHERE name = '${name}'`)[0];
	}

	mark() {
		return this.rows(`SELECT printf('%016x', journal) AS journal,
		    position, boot, clean FROM mark`)[0];
	}

	/* Waits until it has all that has been published. */
	async whole(d) {
		const {position} = await d.json('show', 'stats');
		await until(`the store has all up to ${position}`, async () =>
		    (await row(d, 'store'))?.cursor >= position, WAIT_MS)
		    .catch(async (error) => {
			throw new Error(`${error.message}: ` +
			    JSON.stringify(await row(d, 'store')));
		});
	}

	/* Each offset of a channel is there once, in order, and names the one
	 * before it; with holes: or a hole is written down there. */
	judge(channel, {holes = false} = {}) {
		const all = this.all(channel), gaps = this.holes(channel);
		if (!holes)
			assert.deepEqual(gaps, [], channel);
		let last = null;
		for (const m of all) {
			if (last) {
				assert.ok(m.offset > last.offset, `${channel}: ` +
				    `${m.offset} behind ${last.offset}`);
				assert.ok(m.position > last.position);
				const {offset} = last;
				assert.ok(m.before === offset || gaps.some((h) =>
				    h.after <= offset && h.before >= m.before),
				    `${channel}: ${m.offset} comes behind ` +
				    `${m.before}, not ${offset}; holes ` +
				    JSON.stringify(gaps));
			}
			last = m;
		}
		if (last)
			assert.ok(this.channel(channel).top >= last.offset);
		return all.filter((m) => m.format <= MESSAGE_LAST);
	}

	/* Whether the file is sound. */
	check(file) {
		assert.equal(this.value('PRAGMA quick_check', file), 'ok');
	}

	/* The machine has lost its power: the files are what was on the disk
	 * for certain (bad_disk.c). */
	lose() {
		const names = fs.readdirSync(this.dir);
		for (const name of names)
			if (!/\.(safe|part)$/.test(name))
				fs.unlinkSync(path.join(this.dir, name));
		for (const name of names.filter((f) => f.endsWith('.safe')))
			fs.renameSync(path.join(this.dir, name),
			    path.join(this.dir, name.slice(0, -5)));
		assert.ok(fs.existsSync(this.file));
	}

	/* What another program finds in a copy of these files. */
	recovered() {
		const copy = Object.assign(Object.create(Archive.prototype),
		    {dir: path.join(this.dir, 'copy')});
		copy.file = path.join(copy.dir, 'chat.db');
		fs.mkdirSync(copy.dir);
		for (const end of ['', '-wal'])
			if (fs.existsSync(this.file + end))
				fs.copyFileSync(this.file + end, copy.file + end);
		/* who only reads may not */
		assert.equal(execFileSync('sqlite3', [copy.file,
		    'PRAGMA quick_check'], {encoding: 'utf8'}), 'ok\n');
		return copy;
	}

	remove() {
		if (mounted.has(this.dir))
			unmount(this.dir);
		fs.rmSync(this.dir, {recursive: true, force: true});
	}
}

/* A daemon with a store that writes that archive, for a test. channels, conf: of
 * the configuration; keep: the archive is used again; sound: its file is looked
 * at in the end. What fails is told with the end of the log; KEEP=1 in the
 * environment leaves the archive where it is. */
async function storing(body, {channels = CHANNELS, conf = '',
	disk, archive = new Archive(disk), keep = false, sound = true, ...options} = {}) {
	let d;
	try {
		d = await Daemon.start({workers: 2,
		    conf: archive.conf() + channels + conf, ...options});
		await follows(d, 'store');
		await follows(d, 'store-read');
		d.descriptors = processDescriptors(d.pid); /* with its links */
		const result = await body(d, archive);
		sdkLeave();
		if (!d.end)
			await d.stop('SIGTERM', WAIT_MS);
		if (sound)
			archive.check();
		return result;
	} catch (error) {
		error.message += '\n' + (d?.stderr ?? '').slice(-3000)
		    .replace(/^/gm, '| ');
		throw error;
	} finally {
		sdkLeave();
		Client.dropAll();
		await d?.kill();
		if (!keep && !process.env.KEEP)
			archive.remove();
	}
}

/* The daemon and all of its processes end at once, and it has nothing left. */
async function killAll(d) {
	const family = [d.pid, ...processChildren(d.pid)];
	for (const pid of family)
		process.kill(pid, 'SIGKILL');
	await until('all have ended', () =>
	    d.end && !family.some(processLives));
}

/* The JSON of the server API. */
async function api(d, method, body) {
	const c = await Client.connect(d.port), text = JSON.stringify(body);
	c.write(`POST /api/${method} HTTP/1.1\r\nHost: localhost\r\n` +
	    `X-API-Key: ${API_KEY}\r\nContent-Length: ` +
	    `${Buffer.byteLength(text)}\r\n\r\n${text}`);
	const answer = await c.answer();
	c.drop();
	assert.equal(answer.status, 200, answer.body);
	return JSON.parse(answer.body);
}

/* Its state, as chatctl tells it. */
async function state(d) {
	return d.json('store');
}

/* Waits until the store says that of itself. */
function becomes(d, wanted, ms = WAIT_MS) {
	return until(`the store is ${wanted}`, async () => {
		const s = await state(d);
		return s.state === wanted && s;
	}, ms).catch(async (error) => {
		throw new Error(`${error.message}: ` +
		    JSON.stringify(await state(d)));
	});
}

/* A disk that does what the test wants (bad_disk.c): env for the daemon, and
 * set(). Its build has to be one that is linked dynamically. */
class BadDisk {
	static words = ['syncMs', 'writeError', 'fsType', 'clockMs', 'syncs',
	    'safe'];

	constructor(build) {
		const library = path.join(build, 'fault/bad_disk.so');
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bad-disk-'));
		folders.add(this.dir);
		this.path = path.join(this.dir, 'words');
		fs.mkdirSync(path.dirname(library), {recursive: true});
		execFileSync(process.env.CC ?? 'gcc', ['-std=gnu11',
		    '-D_GNU_SOURCE', '-Wall', '-Wextra', '-O2', '-shared', '-fPIC',
		    '-o', library, path.join(__dirname, 'bad_disk.c')]);
		fs.writeFileSync(this.path, Buffer.alloc(4096));
		fs.chmodSync(this.dir, 0o755);
		fs.chmodSync(this.path, 0o666); /* children have another user */
		this.fd = fs.openSync(this.path, 'r+');
		this.env = {LD_PRELOAD: library, BAD_DISK: this.path};
	}

	set(words) {
		const b = Buffer.alloc(8);
		for (const [name, value] of Object.entries(words)) {
			b.writeBigInt64LE(BigInt(value));
			fs.writeSync(this.fd, b, 0, 8,
			    8 * BadDisk.words.indexOf(name));
		}
	}

	get(name) {
		const b = Buffer.alloc(8);
		fs.readSync(this.fd, b, 0, 8, 8 * BadDisk.words.indexOf(name));
		return Number(b.readBigInt64LE());
	}

	remove() {
		fs.closeSync(this.fd);
		fs.rmSync(this.dir, {recursive: true});
	}
}

/* All talk until so many more commands are done. */
async function talk(choir, n, ms = 60000) {
	const begin = choir.count();
	await until(`${n} commands are done`, () => choir.writers.some((w) =>
	    w.closed) || choir.count() >= begin + n, ms).catch((error) => {
		throw new Error(`${error.message}: ${choir.count() - begin}`);
	});
}

/* Those who wait for the store are refused for now, or cannot be told, at most;
 * others notice nothing. */
function judgeOthers(choir) {
	for (const m of [...choir.all('refused'), ...choir.all('unknown')])
		assert.match(m.channel, /^(acked|strict)/,
		    `${m.data}: ${JSON.stringify(m.why)}`);
	/* at the plain door a command may wait behind one that came back */
	for (const w of choir.writers.filter((w) => w instanceof JsonWriter))
		for (const m of w.done)
			if (/^(plain|told)/.test(m.channel))
				assert.ok(m.ms < QUICK_MS * patience(),
				    `${m.data} took ${m.ms} ms`);
}

/* One who publishes n texts of so many bytes to a channel, some at once, and not
 * more than `rate` in a second: what came of them, by their numbers. over():
 * whether it is to end. */
async function noise(d, channel, {n = Infinity, bytes = 200, rate = Infinity,
	over = () => false} = {}) {
	const WINDOW = 50;
	const l = await Line.connected(d, '?user=noise');
	const text = 'x'.repeat(bytes), begin = performance.now();
	const out = {done: [], refused: [], unknown: [], ms: []};
	const sent = new Map();
	for (let k = 0; (k < n && !over()) || sent.size > 0;) {
		while (k < n && !over() && sent.size < WINDOW &&
		    k <= (performance.now() - begin) * rate / 1000) {
			sent.set(1000 + k, performance.now());
			l.say({id: 1000 + k, publish:
			    {channel, data: {k, text}}});
			k++;
		}
		if (sent.size === 0) {
			await pause(1);
			continue;
		}
		const r = await l.hear(WAIT_MS);
		if (!sent.has(r.id)) {
			assert.deepEqual(r, {}); /* a ping */
			l.say('{}');
			continue;
		}
		out.ms.push(performance.now() - sent.get(r.id));
		sent.delete(r.id);
		(r.publish ? out.done : r.error.temporary ? out.refused :
		    out.unknown).push(r.id - 1000);
	}
	l.client.drop();
	return out;
}

/* A value of a list that so many percent are not above. */
function percentile(list, percent) {
	const sorted = [...list].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1,
	    Math.floor(sorted.length * percent / 100))];
}

module.exports = {API_KEY, Archive, BadDisk, CHANNELS, KINDS, LEAP, RULES,
    WAIT_MS, api, becomes, judgeOthers, killAll, noise, percentile, rules, state,
    storing, talk};
