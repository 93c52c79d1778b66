/* What chatctl shows of one connection and of the journal, and of the memory of
 * a daemon that cannot be asked. */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const {group} = require('./suite.js');
const {CHATCTL, checkReports, processChildren, run, until} =
    require('./daemon.js');
const {Client} = require('./client.js');
const {Line} = require('./centrifugo.js');

const CONF = `channel "room" {
	subscribe all
	publish all
	history 10
	presence yes
}
channel "c*" {
	subscribe all
}
`;
const SECRET_TEXT = 'nobody shall read this';

/* Runs chatctl; the exit code must be that. Returns what it said. */
async function ctl(d, status, ...args) {
	const r = await d.ctl(...args);
	checkReports(r.stderr);
	assert.equal(r.status, status, JSON.stringify(r));
	assert.ok(!(r.stdout + r.stderr).includes(SECRET_TEXT));
	return status === 0 ? r.stdout : r.stderr;
}

/* The lines of a table of names and values, as an object. */
function table(text) {
	return Object.fromEntries(text.split('\n')
	    .filter((line) => /^[a-z]/.test(line))
	    .map((line) => [line.split(' ', 1)[0], line.slice(19)]));
}

group('look', {conf: CONF, workers: 2}, (test) => {
	test('show connection: who, how far, and its subscriptions', async (d) => {
		const a = await Line.connected(d, '?user=ann');
		await a.ask('subscribe', {channel: 'room'});
		await a.ask('publish', {channel: 'room', data: {x: SECRET_TEXT}});
		const id = a.welcome.connect.client;
		const ask = () => d.json('show', 'connection', id);
		const c = await until('its own message has been delivered',
		    async () => (await ask()).delivered > 0 && ask());
		assert.equal(c.id, id);
		assert.equal(c.user, 'ann');
		assert.deepEqual([c.phase, c.transport, c.framing, c.door],
		    ['open', 'tcp', 'websocket', 'centrifugo']);
		assert.match(c.peer, /^127\.0\.0\.1:\d+$/);
		assert.equal(c.worker, (await d.json('show', 'connections'))
		    .find((other) => other.id === id).worker);
		assert.ok(c.input_read >= c.input_done && c.input_done > 0);
		assert.deepEqual([c.input_bytes, c.input_waiting, c.input_message],
		    [0, 0, 'none']);
		assert.equal(c.published, c.delivered);
		assert.ok(c.frames >= 4);
		assert.deepEqual([c.output_sound, c.steady], [true, true]);
		// all of it is written: nothing of it is kept
		assert.deepEqual([c.frames_kept, c.output_from, c.output_end],
		    [0, 0, 0]);
		assert.equal(c.subscriptions, 1);
		assert.equal(c.channels[0].channel, 'room');
		const text = await ctl(d, 0, 'show', 'connection', id);
		const lines = table(text);
		for (const name of Object.keys(c).filter((n) =>
		    !['channels', 'connected_s', 'device'].includes(n)))
			assert.equal(lines[name], c[name] === true ? 'yes' :
			    String(c[name]) || '-', name);
		assert.match(text, /^ +\d+ [a-z,-]+ +room$/m);
		a.client.drop();
	});

	test('show connection: half a message is kept, and counted', async (d) => {
		const a = await Client.user(d.port, 'half');
		const [{id}] = (await d.json('show', 'connections'))
		    .filter((c) => c.user === 'half');
		/* a masked frame of 50 bytes, of which ten come */
		a.write(Buffer.concat([Buffer.from([0x81, 0x80 | 50, 0, 0, 0, 0]),
		    Buffer.from('0123456789')]));
		const c = await until('ten bytes are kept', async () => {
			const now = await d.json('show', 'connection', id);
			return now.input_bytes === 10 && now;
		});
		assert.equal(c.input_message, 'part');
		assert.equal(c.input_read - c.input_done, 16);
		a.drop();
	});

	test('show connection: what waits for one that does not read, and how ' +
	    'it ends', async (d) => {
		const a = await Client.user(d.port, 'slow');
		const [{id}] = (await d.json('show', 'connections'))
		    .filter((c) => c.user === 'slow');
		a.socket.pause();
		const b = await Client.user(d.port, 'loud');
		// until the kernel takes no more: what it has is not kept
		const c = await until('much waits', async () => {
			for (let n = 0; n < 10; n++)
				b.text('x'.repeat(15000));
			const now = await d.json('show', 'connection', id);
			return now.frames_kept > 0 && now;
		});
		assert.ok(c.output_end > c.output_from && c.output_sound);
		a.drop();
		b.drop();
		await until('it is gone', async () =>
		    (await d.ctl('show', 'connection', id)).status === 1);
		assert.equal(await ctl(d, 1, 'show', 'connection', id),
		    `chatctl: there is no connection ${id}\n`);
	});

	test('show connection: many subscriptions are cut', async (d) => {
		const a = await Line.connected(d, '?user=many');
		for (let n = 0; n < 103; n++)
			await a.ask('subscribe', {channel: `c${n}`});
		const id = a.welcome.connect.client;
		const c = await d.json('show', 'connection', id);
		assert.equal(c.subscriptions, 103);
		assert.equal(c.channels.length, 100);
		assert.match(await ctl(d, 0, 'show', 'connection', id),
		    /\n {2}and 3 more\n$/);
		a.client.drop();
	});

	for (const id of ['x', '', '-1', '12345678901234567', '1 '])
		test(`show connection "${id}" is no ID`, async (d) =>
			assert.match(await ctl(d, 1, 'show', 'connection', id),
			    /is no ID, which has 16 hexadecimal digits\n$/));

	for (const id of ['1', '0000000100000000', 'ffffffffffffffff'])
		test(`show connection ${id} is not there`, async (d) =>
			assert.equal(await ctl(d, 1, 'show', 'connection', id),
			    `chatctl: there is no connection ${id}\n`));

	test('show journal: newest first, of all and of one channel', async (d) => {
		const a = await Line.connected(d, '?user=ann');
		const id = a.welcome.connect.client;
		await a.ask('subscribe', {channel: 'room'});
		const {position} = await d.json('show', 'stats');
		for (let n = 0; n < 3; n++)
			await a.ask('publish',
			    {channel: 'room', data: SECRET_TEXT});
		await ctl(d, 0, 'say', 'hello');
		const all = await d.json('show', 'journal', '4');
		assert.deepEqual(all.map((e) => e.position - position),
		    [4, 3, 2, 1]);
		assert.deepEqual([all[0].sender, all[0].channel, all[0].kind,
		    all[0].bytes], ['chatctl', 'lobby', 'text', 5]);
		for (const e of all.slice(1)) {
			assert.deepEqual([e.sender, e.channel, e.kind, e.bytes],
			    [id, 'room', 'json', SECRET_TEXT.length + 2]);
			assert.ok(Math.abs(e.time_ms - Date.now()) < 60000);
			assert.equal(e.workers.length, 1);
		}
		assert.deepEqual(all.slice(1), await d.json('show', 'journal',
		    'room', '3'));
		assert.deepEqual(all.slice(1, 2), await d.json('show', 'journal',
		    'room', '1'));
		const text = await ctl(d, 0, 'show', 'journal', '1');
		assert.match(text, /^ +POSITION +OFFSET TIME +BYTES KIND +WORKERS +SENDER +CHANNEL\n/);
		assert.match(text, /\n +\d+ +\d+ \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z +5 text +[01,]* +chatctl +lobby\n$/);
		a.client.drop();
	});

	test('show journal: more than there is, and what is no number',
	    async (d) => {
		const a = await Line.connected(d, '?user=ann');
		await a.ask('publish', {channel: 'room', data: 1});
		a.client.drop();
		const all = await d.json('show', 'journal', 'room');
		assert.ok(all.length >= 1);
		assert.ok(all.length <= 20);
		for (const words of [['0'], ['1001'], ['room', '-1'],
		    ['room', 'x'], ['99999999999999999999']])
			assert.match(await ctl(d, 1, 'show', 'journal', ...words),
			    /is not a number of entries from 1 to 1000\n$/);
		assert.equal(await ctl(d, 1, 'show', 'journal', 'nowhere'),
		    'chatctl: no channel nowhere is known here\n');
	});
});

/* chatctl -m: without asking the daemon. */
function memory(what, ...args) {
	return run(CHATCTL, ['-m', String(what), ...args]);
}

/* What it says, which must be JSON. */
async function memoryJson(what, ...args) {
	const r = await memory(what, '-j', ...args);
	checkReports(r.stderr);
	assert.equal(r.status, 0, JSON.stringify(r));
	return JSON.parse(r.stdout);
}

/* A refusal with status 1. */
async function memoryRefused(what, pattern) {
	const r = await memory(what, 'show', 'connections');
	checkReports(r.stderr);
	assert.equal(r.status, 1, JSON.stringify(r));
	assert.equal(r.stdout, '');
	assert.match(r.stderr, pattern);
}

/* A copy of a process's shared memory in a file that has holes where it has. */
function memoryCopy(d, name) {
	const fd = fs.readdirSync(`/proc/${d.pid}/fd`).find((n) =>
	    fs.readlinkSync(`/proc/${d.pid}/fd/${n}`) ===
	    '/memfd:chatd (deleted)');
	const file = path.join(d.dir, name);
	execFileSync('cp', ['--sparse=always', `/proc/${d.pid}/fd/${fd}`, file]);
	return file;
}

/* A core file with that memory in two segments behind one of something else. */
function coreOf(file, core) {
	const size = fs.statSync(file).size, cut = 1 << 16, at = 4096;
	const head = Buffer.alloc(at);
	head.write('\x7fELF\x02\x01\x01', 'latin1');
	head.writeUInt16LE(4, 16); /* ET_CORE */
	head.writeBigUInt64LE(64n, 32);
	head.writeUInt16LE(56, 54);
	head.writeUInt16LE(3, 56);
	const segment = (n, address, offset, bytes) => {
		const p = 64 + 56 * n;
		head.writeUInt32LE(1, p); /* PT_LOAD */
		[offset, address, 0, bytes, bytes].forEach((v, k) =>
		    head.writeBigUInt64LE(BigInt(v), p + 8 + 8 * k));
	};
	segment(0, 0x10000, 0, 4096);
	segment(1, 0x7f0000000000 + cut, at + cut, size - cut);
	segment(2, 0x7f0000000000, at, cut);
	fs.writeFileSync(core, head);
	execFileSync('dd', [`if=${file}`, `of=${core}`, 'bs=4096', 'seek=1',
	    'conv=notrunc,sparse', 'status=none']);
	fs.truncateSync(core, at + size);
	return core;
}

/* Without ages, which go on. */
function ageless(list) {
	return list.map(({connected_s, uptime_s, ...rest}) => rest);
}

const SMALL = CONF + 'connections 256\nusers 256\nchannels 256\n' +
    'subscriptions 2048\njournal 1M\noutput-memory 4M\ninput-memory 2M\n';
const SUBJECTS = ['workers', 'users', 'connections', 'channels', 'journal',
    'stats'];

/* Somebody in a room who has said something; its id. */
async function company(d) {
	const a = await Line.connected(d, '?user=ann');
	await a.ask('subscribe', {channel: 'room'});
	await a.ask('publish', {channel: 'room', data: SECRET_TEXT});
	return a.welcome.connect.client;
}

group('look at memory', {conf: SMALL, workers: 2}, (test) => {
	test('a daemon that is stopped: as it showed itself before', async (d) => {
		const id = await company(d);
		const lists = ['users', 'connections', 'journal'];
		const live = {};
		for (const what of lists)
			live[what] = ageless(await d.json('show', what));
		live.one = await until('nothing moves', async () => {
			const one = await d.json('show', 'connection', id);
			return one.frames >= 4 && one;
		});
		const all = [d.pid, ...processChildren(d.pid)];
		all.forEach((pid) => process.kill(pid, 'SIGSTOP'));
		try {
			const worker = (await memoryJson(d.pid, 'show', 'workers'))[0];
			assert.equal(worker.state, 'running');
			for (const pid of [d.pid, worker.pid, worker.keeper])
				for (const what of lists)
					assert.deepEqual(ageless(await memoryJson(pid,
					    'show', what)), live[what], what);
			const one = await memoryJson(d.pid, 'show', 'connection', id);
			assert.deepEqual(ageless([one]), ageless([live.one]));
			const [room] = (await memoryJson(d.pid, 'show', 'channels'))
			    .filter((c) => c.channel === 'room');
			assert.deepEqual([room.connections, room.kept, room.history],
			    [1, 1, null]);
			const stats = await memoryJson(d.pid, 'show', 'stats');
			assert.deepEqual([stats.connections, stats.users,
			    stats.position], [1, 1, live.journal[0].position]);
			assert.ok(!('uptime_s' in stats));
			const r = await memory(d.pid, 'show', 'connection', '1');
			assert.deepEqual([r.status, r.stderr],
			    [1, 'chatctl: there is no connection 1\n']);
		} finally {
			all.forEach((pid) => process.kill(pid, 'SIGCONT'));
		}
	});

	test('what memory does not tell is wrong usage', async (d) => {
		for (const args of [['show', 'config'], ['show', 'processes'],
		    ['show', 'upgrade'], ['kick', 'a'], ['stop'], ['show', 'x'],
		    ['-s', d.socket, 'show', 'users']])
			assert.equal((await memory(d.pid, ...args)).status, 2,
			    args.join(' '));
	});

	test('a copy, a core file, and cut ones', async (d) => {
		const id = await company(d);
		const live = ageless(await d.json('show', 'connections'));
		const copy = memoryCopy(d, 'copy');
		const core = coreOf(copy, path.join(d.dir, 'core'));
		for (const file of [copy, core]) {
			assert.deepEqual(ageless(await memoryJson(file, 'show',
			    'connections')), live);
			assert.equal((await memoryJson(file, 'show', 'journal',
			    'room'))[0].sender, id);
			for (const {connected_s} of await memoryJson(file, 'show',
			    'connections'))
				assert.ok(connected_s < 60);
		}
		const size = fs.statSync(core).size;
		fs.truncateSync(core, size - 4096);
		await memoryRefused(core, /: the core file is cut off: it has 65536 of \d+ bytes/);
		fs.truncateSync(core, 4096 + 100);
		await memoryRefused(core, /: the core file has no shared memory of chatd: bit 1 of /);
		fs.truncateSync(core, 20);
		await memoryRefused(core, /: it is not a core file of this kind/);
		fs.truncateSync(copy, fs.statSync(copy).size - 1);
		await memoryRefused(copy, /: it is cut off: \d+ of \d+ bytes are there$/m);
		fs.truncateSync(copy, 4095);
		await memoryRefused(copy, /: it is not shared memory of chatd$/m);
		fs.truncateSync(copy, 0);
		await memoryRefused(copy, /: it is not a file with anything$/m);
	});

	test('another layout, and what is none', async (d) => {
		const copy = memoryCopy(d, 'layout');
		const file = fs.openSync(copy, 'r+');
		fs.writeSync(file, Buffer.from('8899aabbccddeeff', 'hex'), 0, 8, 8);
		fs.closeSync(file);
		await memoryRefused(copy, /: it has layout ffeeddccbbaa9988, this program knows [0-9a-f]{16}: /);
		fs.writeFileSync(copy, crypto.randomBytes(200000));
		await memoryRefused(copy, /: it is not shared memory of chatd$/m);
		await memoryRefused(path.join(d.dir, 'nothing'), /: No such file/);
		await memoryRefused(d.dir, /: it is not a file with anything$/m);
		await memoryRefused(process.pid, /: the process has no shared memory of chatd, or /);
		await memoryRefused(0x7ffffff0, /: there is no process \d+$/m);
	});

	test('corrupted memory is looked at to its end', async (d) => {
		await company(d);
		const copy = memoryCopy(d, 'corrupted');
		const good = fs.readFileSync(copy);
		let shown = 0;
		for (let round = 0; round < 8; round++) {
			const bad = Buffer.from(good);
			const spread = [4096, 65536, 1 << 20, bad.length][round % 4];
			for (let n = 0; n < 400 * (1 + round); n++)
				bad.writeUInt8(crypto.randomInt(256),
				    crypto.randomInt(round % 3 === 0 ? 0 : 300,
				    Math.min(spread, bad.length)));
			fs.writeFileSync(copy, bad);
			for (const what of SUBJECTS) {
				const r = await memory(copy, 'show', what);
				checkReports(r.stderr);
				assert.ok([0, 1].includes(r.status), JSON.stringify(r));
				shown += r.status === 0;
			}
		}
		assert.ok(shown > SUBJECTS.length, `${shown} were shown`);
	});

	test('a core file that gcore writes', async (d) => {
		/* a sanitizer's shadow memory would be dumped, too */
		if (!fs.existsSync('/usr/bin/gcore') || /\bsan\b/.test(CHATCTL)) {
			console.log('skip gcore: it is not installed, or there ' +
			    'are sanitizers');
			return;
		}
		await company(d);
		const live = ageless(await d.json('show', 'connections'));
		const core = path.join(d.dir, 'gcore');
		execFileSync('/usr/bin/gcore', ['-o', core, String(d.pid)],
		    {stdio: 'ignore'});
		assert.deepEqual(ageless(await memoryJson(`${core}.${d.pid}`,
		    'show', 'connections')), live);
	});
});
