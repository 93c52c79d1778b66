/* How connections end: every close code of the plain door, and when. */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('./suite.js');
const {patience, until} = require('./daemon.js');
const {Client, OP, closePayload, frame} = require('./client.js');

/* What the kernel has of the daemon's end of a client's connection: a line of
 * /proc/net/tcp, or undefined. */
function ours(d, port) {
	const hex = (n) => n.toString(16).toUpperCase().padStart(4, '0');
	return fs.readFileSync('/proc/net/tcp', 'utf8').split('\n').find((l) =>
	    l.includes(`:${hex(d.port)} `) && l.includes(`:${hex(port)} `) &&
	    l.indexOf(`:${hex(d.port)} `) < l.indexOf(`:${hex(port)} `));
}

/* Sends texts without end until the connection is over. */
async function chatter(c, text = 'x'.repeat(1000)) {
	while (!c.ended && !c.error && !c.gone && !c.socket.writableEnded) {
		await c.text(text);
		await new Promise(setImmediate); /* a write may end at once */
	}
}

group('close', {}, (test) => {
	test('1000 is answered with 1000', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.send(OP.CLOSE, closePayload(1000, 'bye'));
		assert.equal((await c.closing()).code, 1000);
		await c.eof();
	});
	test('1002 for a frame without a mask', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.send(OP.TEXT, 'x', {masked: false});
		await c.closed(1002);
	});
	test('1003 for binary', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.send(OP.BINARY, 'x');
		await c.closed(1003);
	});
	test('1003 for an empty binary and a fragment of one', async (d) => {
		for (const options of [{}, {fin: false}]) {
			const c = await Client.user(d.port, 'alice');
			c.send(OP.BINARY, '', options);
			if (options.fin === false)
				c.send(OP.CONT, 'x');
			await c.closed(1003);
		}
	});
	test('1007 as soon as the bad byte arrives', async (d) => {
		const c = await Client.user(d.port, 'alice');
		const bytes = frame(OP.TEXT, Buffer.from('61ff6161', 'hex'));
		await c.write(bytes.subarray(0, 8));
		await c.closed(1007);
	});
	test('1007 for a message that is cut within a letter', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.send(OP.TEXT, Buffer.from('61c3', 'hex'));
		await c.closed(1007);
	});
	test('1009 over 64 KiB, at the head', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.write(frame(OP.TEXT, '', {length: 65537}));
		await c.closed(1009);
	});
	test('what was said before the bad frame is heard', async (d) => {
		const [a, b] = await Promise.all([Client.user(d.port, 'alice'),
		    Client.user(d.port, 'bob')]);
		a.write(Buffer.concat([frame(OP.TEXT, 'one'), frame(OP.TEXT, 'two'),
		    frame(OP.BINARY, 'x'), frame(OP.TEXT, 'three')]));
		assert.equal(await b.heard(), 'alice says: one');
		assert.equal(await b.heard(), 'alice says: two');
		await a.closed(1003);
		await b.quiet();
		await b.close();
	});
	test('the code arrives while the client goes on sending', async (d) => {
		for (let i = 0; i < 10; i++) {
			const c = await Client.user(d.port, 'alice');
			const talk = chatter(c);
			c.send(OP.BINARY, 'x');
			await c.closed(1003);
			await talk;
		}
	});
	test('a client that does not answer the close is let go', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.send(OP.BINARY, 'x');
		assert.equal((await c.closing()).code, 1003);
		const begin = Date.now();
		await c.eof(4000);
		const ms = Date.now() - begin;
		assert.ok(ms >= 900 && ms < 2500 * patience(), `FIN after ${ms} ms`);
		await until('the connection to be gone', async () =>
		    (await d.json('show', 'connections')).length === 0, 3000);
	});
	/* Closed by us in those ways. */
	const OURS = {
		'binary': [1003, (d, c) => c.send(OP.BINARY, 'x')],
		'too big': [1009, (d, c) =>
		    c.write(frame(OP.TEXT, '', {length: 65537}))],
		'no mask': [1002, (d, c) =>
		    c.send(OP.TEXT, 'x', {masked: false})],
		'kicked': [4001, (d) => d.ctl('kick', 'alice')]
	};
	for (const [name, [code, offend]] of Object.entries(OURS))
		test(`our FIN waits for the answer: ${name}`, async (d) => {
			const c = await Client.user(d.port, 'alice');
			offend(d, c);
			assert.equal((await c.closing()).code, code);
			const begin = Date.now();
			const ended = until('FIN', () => c.ended, 4000)
			    .then(() => Date.now() - begin);
			/* a slow network, and something said before it answers */
			await until('300 ms', () => Date.now() >= begin + 300);
			assert.ok(!c.ended, 'the FIN came before the answer');
			c.write(Buffer.concat([frame(OP.TEXT, 'late'),
			    frame(OP.CLOSE, closePayload(code))]));
			const ms = await ended;
			assert.ok(ms >= 300 && ms < 900, `FIN after ${ms} ms`);
			await c.eof();
		});
	test('our FIN comes at once if the answer was there before', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.write(Buffer.concat([frame(OP.BINARY, 'x'),
		    frame(OP.CLOSE, closePayload(1000))]));
		const begin = Date.now();
		assert.equal((await c.closing()).code, 1003);
		await c.eof();
		assert.ok(Date.now() - begin < 700);
	});
	test('our FIN comes at once after a bad close frame', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.send(OP.CLOSE, 'x');
		const begin = Date.now();
		assert.equal((await c.closing()).code, 1002);
		await c.eof();
		assert.ok(Date.now() - begin < 700);
	});
	test('our FIN comes at once if the client closes first', async (d) => {
		const c = await Client.user(d.port, 'alice');
		const begin = Date.now();
		await c.close();
		assert.ok(Date.now() - begin < 700);
	});
	test('a worker that dies while it waits: told once, then FIN',
	    async (d) => {
		const c = await Client.user(d.port, 'alice');
		const [{worker}] = await d.json('show', 'connections');
		const {pid} = (await d.json('show', 'workers'))[worker];
		c.send(OP.BINARY, 'x');
		assert.equal((await c.closing()).code, 1003);
		process.kill(pid, 'SIGKILL');
		await until('the next worker', async () => {
			const w = (await d.json('show', 'workers'))[worker];
			return w.pid !== pid && w.state === 'running';
		});
		c.send(OP.CLOSE, closePayload(1003));
		await c.eof(4000);
	});

	test('4001 kicked: all devices', async (d) => {
		const all = await Promise.all([Client.user(d.port, 'alice', 'a'),
		    Client.user(d.port, 'alice', 'b'), Client.user(d.port, 'bob')]);
		assert.equal((await d.ctl('kick', 'alice')).status, 0);
		await all[0].closed(4001, 'kicked');
		await all[1].closed(4001, 'kicked');
		await all[2].quiet();
		await all[2].close();
	});
	test('4001 kicked: one device', async (d) => {
		const all = await Promise.all([Client.user(d.port, 'alice', 'a'),
		    Client.user(d.port, 'alice', 'b')]);
		assert.equal((await d.ctl('kick', 'alice', 'b')).status, 0);
		await all[1].closed(4001, 'kicked');
		await all[0].quiet();
		await all[0].close();
	});
	test('4001 arrives while the client is sending', async (d) => {
		const c = await Client.user(d.port, 'alice');
		const talk = chatter(c);
		for (let i = 0; i < 20; i++)
			await c.heard();
		assert.equal((await d.ctl('kick', 'alice')).status, 0);
		await c.closed(4001, 'kicked');
		await talk;
	});
});

group('close, slow', {conf: 'queue 64K\n', workers: 1}, (test) => {
	test('what a peer never reads does not stay in the kernel', async (d) => {
		const [talker, c] = await Promise.all([
		    Client.user(d.port, 'alice'), Client.user(d.port, 'bob')]);
		const port = c.socket.localPort;
		c.socket.pause();
		assert.ok(ours(d, port));
		while ((await d.json('show', 'stats')).closed_slow === 0)
			for (let i = 0; i < 20; i++) {
				await talker.text('x'.repeat(60000));
				await talker.heard();
			}
		await until('the end of the connection', () => !ours(d, port),
		    8000);
		await talker.close();
		c.socket.destroy();
	});
});

/* TERM must reach clients in every state. */
for (const state of ['idle', 'sending', 'within a message', 'reading slowly'])
	group(`1001 on TERM, ${state}`, {}, (test) => {
		test('the code arrives and all is over in time', async (d) => {
			const all = await Promise.all(Array.from({length: 12},
			    (_, i) => Client.user(d.port, `u${i}`)));
			if (state === 'within a message')
				for (const c of all)
					c.send(OP.TEXT, 'x', {fin: false});
			const talks = state === 'sending' ?
			    all.slice(0, 2).map((c) => chatter(c)) : [];
			if (state === 'reading slowly') {
				for (const c of all.slice(1))
					c.socket.pause();
				for (let i = 0; i < 10; i++) {
					all[0].text('x'.repeat(30000));
					await all[0].heard();
				}
			}
			if (state === 'sending')
				await all[0].heard();
			process.kill(d.pid, 'SIGTERM');
			for (const c of all)
				c.socket.resume();
			await Promise.all(all.map((c) => c.closed(1001)));
			await Promise.all(talks);
			await d.stop(null);
		}, {ends: true});
	});

group('idle-timeout', {conf: 'idle-timeout 2s\n', workers: 2}, (test) => {
	test('4000 idle; pings do not count, messages do', async (d) => {
		const [a, b] = await Promise.all([Client.user(d.port, 'alice'),
		    Client.user(d.port, 'bob')]);
		const begin = Date.now();
		const talk = setInterval(() => b.text('/help'), 500);
		const ping = setInterval(() => a.send(OP.PING, 'x'), 500);
		try {
			await a.closed(4000, 'idle');
			const ms = Date.now() - begin;
			assert.ok(ms >= 1900 && ms < 5000 * patience(), `after ${ms} ms`);
			while (b.have)
				await b.heard();
			assert.ok(!b.ended && !b.error);
		} finally {
			clearInterval(talk);
			clearInterval(ping);
		}
		await b.closed(4000, 'idle');
	});
});

group('pings', {conf: 'ping-interval 1s\npong-timeout 1s\n',
    workers: 2}, (test) => {
	test('4002 no pong for one that is silent', async (d) => {
		const c = await Client.user(d.port, 'alice');
		const begin = Date.now();
		await c.expect(OP.PING);
		await c.closed(4002, 'no pong');
		const ms = Date.now() - begin;
		assert.ok(ms >= 1900 && ms < 5000 * patience(), `after ${ms} ms`);
	});
	test('pongs, or anything else, keep it open', async (d) => {
		const [a, b] = await Promise.all([Client.user(d.port, 'alice'),
		    Client.user(d.port, 'bob')]);
		const talk = setInterval(() => b.send(OP.PONG, 'unasked'), 300);
		try {
			for (let i = 0; i < 4; i++) {
				const payload = await a.expect(OP.PING);
				a.send(OP.PONG, payload);
			}
			assert.ok(!b.ended && !b.error);
		} finally {
			clearInterval(talk);
		}
		await a.close();
		await b.close();
	});
});

group('message-rate', {conf: 'message-rate 5/s burst 3\n'}, (test) => {
	test('1008 after the burst', async (d) => {
		const [a, b] = await Promise.all([Client.user(d.port, 'alice'),
		    Client.user(d.port, 'bob')]);
		a.write(Buffer.concat(Array.from({length: 30}, (_, i) =>
		    frame(OP.TEXT, `${i}`))));
		await a.closed(1008);
		for (let i = 0; i < 3; i++)
			assert.equal(await b.heard(), `alice says: ${i}`);
		await b.quiet();
		await b.close();
	});
	test('as fast as is allowed is no offence', async (d) => {
		const c = await Client.user(d.port, 'alice');
		for (let i = 0; i < 8; i++) {
			const next = Date.now() + 250;
			c.text(String(i));
			assert.equal(await c.heard(), `alice says: ${i}`);
			await until('the next turn', () => Date.now() >= next);
		}
		await c.close();
	});
	test('commands count, fragments and pings do not', async (d) => {
		const c = await Client.user(d.port, 'alice');
		for (let i = 0; i < 20; i++)
			c.send(OP.PING, 'x');
		for (let i = 0; i < 20; i++)
			await c.expect(OP.PONG, 'x');
		for (let i = 0; i < 20; i++)
			c.send(i ? OP.CONT : OP.TEXT, 'x', {fin: i === 19});
		await c.heard();
		for (let i = 0; i < 10; i++)
			c.text('/who');
		await c.closed(1008);
	});
});
