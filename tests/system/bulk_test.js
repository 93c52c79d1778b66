/* Large messages on /echo: Autobahn's sections 9 and 10, and the limits. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {pause} = require('./daemon.js');
const {Client, OP, fragments, frame} = require('./client.js');

const {TEXT, BINARY, CONT} = OP;
const KIND = {[TEXT]: 'text', [BINARY]: 'binary'};
const KILO = 1024, MEGA = KILO * KILO;
const LIMIT = {limit: 60000};
const random = require('node:crypto').randomBytes(16 * MEGA);
const letters = Buffer.from(random.map((b) => 32 + b % 95));

/* Bytes that do not repeat; letters if they are to be text. */
function filled(opcode, size) {
	return (opcode === TEXT ? letters : random).subarray(0, size);
}

/* Sends one message in frames, in pieces, and expects it back in one. */
async function mirror(d, opcode, size, {fragment = size, chop} = {}) {
	const c = await Client.open(d.port, '/echo');
	const data = filled(opcode, size);
	const bytes = Buffer.concat(fragments(opcode, data, fragment));
	const sent = chop ? c.chop(bytes, chop) : c.write(bytes);
	await c.expect(opcode, data, 50000);
	await sent;
	await c.quiet();
	await c.close();
}

group('9 and 10 bulk', {conf: 'echo yes\n', workers: 2}, (test) => {
	for (const op of [TEXT, BINARY]) {
		const n = op === TEXT ? 1 : 2;
		for (const size of [64 * KILO, 256 * KILO, MEGA, 4 * MEGA, 8 * MEGA,
		    16 * MEGA])
			test(`9.${n} ${KIND[op]} of ${size / KILO} KiB`, (d) =>
			    mirror(d, op, size), LIMIT);
		for (const fragment of [64, 256, KILO, 4 * KILO, 16 * KILO,
		    64 * KILO, 256 * KILO, MEGA, 4 * MEGA])
			test(`9.${n + 2} 4 MiB of ${KIND[op]} in frames of ` +
			    fragment, (d) => mirror(d, op, 4 * MEGA, {fragment}),
			    LIMIT);
		for (const chop of [64, 128, 256, 512, KILO, 2 * KILO])
			test(`9.${n + 4} 1 MiB of ${KIND[op]} chopped in ${chop}`,
			    (d) => mirror(d, op, MEGA, {chop}), LIMIT);
		for (const size of [0, 16, 64, 256, KILO, 4 * KILO])
			test(`9.${n + 6} 1,000 times ${KIND[op]} of ${size}`,
			    async (d) => {
				const c = await Client.open(d.port, '/echo');
				const data = filled(op, size);
				const bytes = frame(op, data);
				for (let i = 0; i < 1000; i++) {
					c.write(bytes);
					await c.expect(op, data);
				}
				await c.close();
			}, LIMIT);
	}
	test('10.1 64 KiB in frames of 1,300', (d) =>
	    mirror(d, TEXT, 65536, {fragment: 1300}), LIMIT);
	test('1,000 messages at once', async (d) => {
		const c = await Client.open(d.port, '/echo');
		c.write(Buffer.concat(Array.from({length: 1000}, (_, i) =>
		    frame(TEXT, `${i} ` + 'x'.repeat(i)))));
		for (let i = 0; i < 1000; i++)
			await c.expect(TEXT, `${i} ` + 'x'.repeat(i));
		await c.close();
	}, LIMIT);
});

group('limits', {conf: 'echo yes\n', workers: 2}, (test) => {
	test('16 MiB and one byte fail at the head', async (d) => {
		const c = await Client.open(d.port, '/echo');
		c.write(frame(BINARY, '', {length: 16 * MEGA + 1}));
		await c.closed(1009);
	});
	test('fragments over 16 MiB fail at the head', async (d) => {
		const c = await Client.open(d.port, '/echo');
		c.write(frame(BINARY, random.subarray(0, 16 * MEGA - 10),
		    {fin: false}));
		c.write(frame(CONT, '', {length: 11, fin: false}));
		await c.closed(1009, undefined, 30000);
	}, LIMIT);
	test('a length of 2^63 - 1 fails', async (d) => {
		const c = await Client.open(d.port, '/echo');
		c.write(Buffer.from('82ff7fffffffffffffff00000000', 'hex'));
		await c.closed(1009);
	});
	test('131,072 fragments pass, one more fails', async (d) => {
		const many = (n) => Buffer.concat(fragments(TEXT,
		    letters.subarray(0, n), 1));
		const c = await Client.open(d.port, '/echo');
		c.write(many(131072));
		await c.expect(TEXT, letters.subarray(0, 131072), 30000);
		c.write(many(131073));
		await c.closed(1009, undefined, 30000);
	}, LIMIT);
	test('4 MiB in 65,536 fragments and an empty last one', async (d) => {
		const c = await Client.open(d.port, '/echo');
		const all = fragments(TEXT, letters.subarray(0, 4 * MEGA), 64);
		all[65535][0] &= 0x7f; /* not the last one */
		c.write(Buffer.concat([...all, frame(CONT)]));
		await c.expect(TEXT, letters.subarray(0, 4 * MEGA), 30000);
		await c.close();
	}, LIMIT);
	test('131,072 empty fragments pass', async (d) => {
		const c = await Client.open(d.port, '/echo');
		const one = frame(CONT, '', {fin: false});
		c.write(Buffer.concat([frame(BINARY, '', {fin: false}),
		    ...Array.from({length: 131070}, () => one), frame(CONT, 'x')]));
		await c.expect(BINARY, 'x', 30000);
		await c.close();
	}, LIMIT);
	test('it stops reading while its output waits', async (d) => {
		const c = await Client.open(d.port, '/echo');
		c.socket.pause();
		const total = 160;
		const one = frame(BINARY, random.subarray(0, MEGA));
		let taken = 0;
		for (let i = 0; i < total; i++)
			c.write(one).then(() => taken++);
		/* The kernel's buffers fill, then nothing moves any more. */
		for (let still = 0, before = -1; still < 20;) {
			await pause(50);
			still = taken === before ? still + 1 : 0;
			before = taken;
		}
		assert.ok(taken < total, `all ${total} MiB were taken`);
		/* Others are served meanwhile, by this worker and the other. */
		for (let i = 0; i < 4; i++)
			await mirror(d, TEXT, 1000);
		c.socket.resume();
		for (let i = 0; i < total; i++)
			await c.expect(BINARY, random.subarray(0, MEGA));
		await c.close();
	}, LIMIT);
	test('many large messages side by side', async (d) => {
		await Promise.all(Array.from({length: 8}, (_, i) =>
		    mirror(d, i & 1 ? TEXT : BINARY, 2 * MEGA,
			{fragment: 100000 + i})));
	}, LIMIT);
});

group('message-size', {conf: 'message-size 1K\necho yes\n'}, (test) => {
	test('1 KiB passes, one byte more fails', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.text('x'.repeat(1024));
		assert.equal(await c.heard(), 'alice says: ' + 'x'.repeat(1024));
		c.text('x'.repeat(1025));
		await c.closed(1009);
	});
	test('fragments are counted together', async (d) => {
		const c = await Client.user(d.port, 'alice');
		c.write(Buffer.concat(fragments(TEXT, 'x'.repeat(1024), 100)));
		await c.heard();
		c.write(Buffer.concat(fragments(TEXT, 'x'.repeat(1025), 100)));
		await c.closed(1009);
	});
	test('/echo has its own limit', (d) => mirror(d, TEXT, 100000));
});
