/* What chatctl shows of one connection and of the journal. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {checkReports, until} = require('./daemon.js');
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
		assert.ok(c.frames >= 4 && c.output_end > 0);
		assert.deepEqual([c.output_sound, c.steady], ['yes', 'yes']);
		assert.ok(c.output_from <= c.output_end);
		assert.equal(c.subscriptions, 1);
		assert.equal(c.channels[0].channel, 'room');
		const text = await ctl(d, 0, 'show', 'connection', id);
		const lines = table(text);
		for (const name of Object.keys(c).filter((n) =>
		    !['channels', 'connected_s', 'device'].includes(n)))
			assert.equal(lines[name], String(c[name]), name);
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
		for (let n = 0; n < 40; n++)
			b.text('x'.repeat(15000));
		const c = await until('much waits', async () => {
			const now = await d.json('show', 'connection', id);
			return now.frames >= 40 && now;
		});
		assert.ok(c.output_end >= 40 * 15000, `end ${c.output_end}`);
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
