/*
 * Frames on /echo: the cases of the Autobahn testsuite's sections 1 to 7, 9
 * and 10, by their numbers, with its strict expectations, and some of ours.
 */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {Client, OP, closePayload, fragments, frame} = require('./client.js');
const utf8Cases = require('./utf8_cases.js');

const {CONT, TEXT, BINARY, CLOSE, PING, PONG} = OP;
const KIND = {[TEXT]: 'text', [BINARY]: 'binary'};

/* A connection to /echo. */
function echo(d) {
	return Client.open(d.port, '/echo');
}

/*
 * Declares a case: sends `frames` on a fresh connection (in pieces of `chop`
 * bytes), expects `heard` ([opcode, payload] each), then that the server
 * closes with `fails`, or, without it, that a close handshake works.
 */
function table(test, name, frames, heard, options = {}) {
	test(name, async (d) => {
		const c = await echo(d);
		const bytes = Buffer.concat(frames);
		const sent = options.chop ? c.chop(bytes, options.chop) :
		    c.write(bytes);
		for (const [opcode, payload] of heard)
			await c.expect(opcode, payload);
		if (options.fails) {
			const {code} = await c.closing();
			assert.equal(code, options.fails);
			await sent;
			c.send(CLOSE, closePayload(code));
			await c.eof();
		} else if (!options.closed) {
			await sent;
			await c.quiet();
			await c.close();
		} else {
			await c.eof();
		}
	}, {limit: 60000});
}

/* Bytes that differ from place to place; letters if they are to be text. */
function filled(opcode, size) {
	const data = Buffer.alloc(size);
	for (let i = 0; i < size; i++)
		data[i] = opcode === TEXT ? 97 + i % 26 : i * 7 + (i >> 8);
	return data;
}

group('1 framing', {conf: 'echo yes\n'}, (test) => {
	for (const opcode of [TEXT, BINARY])
		for (const [size, chop] of [[0], [1], [125], [126], [127], [128],
		    [65535], [65536], [65536, 997], [300, 1]])
			table(test, `1 ${KIND[opcode]} of ${size}` +
			    (chop ? `, chopped in ${chop}` : ''),
			    [frame(opcode, filled(opcode, size))],
			    [[opcode, filled(opcode, size)]], {chop});
	for (const [length, wide] of [[0, 2], [125, 2], [125, 8], [126, 8],
	    [65535, 8]])
		table(test, `1 length ${length} in ${wide} bytes fails`,
		    [frame(BINARY, Buffer.alloc(length), {wide})], [],
		    {fails: 1002});
	test('1 a length with the top bit fails', async (d) => {
		const c = await echo(d);
		c.write(Buffer.from('82ff800000000000000000000000', 'hex'));
		await c.closed(1002);
	});
	table(test, '1 an unmasked frame fails',
	    [frame(TEXT, 'x', {masked: false})], [], {fails: 1002});
	table(test, '1 an unmasked empty ping fails',
	    [frame(PING, '', {masked: false})], [], {fails: 1002});
	table(test, '1 a mask of zeros', [frame(TEXT, 'abc',
	    {mask: Buffer.alloc(4)})], [[TEXT, 'abc']]);
});

group('2 pings', {conf: 'echo yes\n'}, (test) => {
	const all = Buffer.from(Array.from({length: 125}, (_, i) => 131 + i));
	const ping = (payload) => [[frame(PING, payload)], [[PONG, payload]]];
	table(test, '2.1 empty', ...ping(''));
	table(test, '2.2 text', ...ping('Hello, world!'));
	table(test, '2.3 binary', ...ping(Buffer.from('00fffefdfcfb00ff', 'hex')));
	for (let size = 1; size <= 125; size += 31)
		table(test, `2.3 ${size} bytes`, ...ping(all.subarray(0, size)));
	table(test, '2.4 125 bytes', ...ping(all));
	table(test, '2.5 126 bytes fail', [frame(PING, Buffer.alloc(126))], [],
	    {fails: 1002});
	table(test, '2.5 70,000 bytes fail', [frame(PING, Buffer.alloc(70000))],
	    [], {fails: 1002});
	table(test, '2.6 125 bytes, octet-wise', ...ping(all), {chop: 1});
	table(test, '2.7 an empty pong is ignored', [frame(PONG)], []);
	table(test, '2.8 a pong is ignored', [frame(PONG, 'unasked')], []);
	table(test, '2.8 a pong of 126 bytes fails',
	    [frame(PONG, Buffer.alloc(126))], [], {fails: 1002});
	table(test, '2.9 pong, then ping', [frame(PONG, 'unasked'),
	    frame(PING, 'x')], [[PONG, 'x']]);
	const ten = Array.from({length: 10}, (_, i) => `payload-${i}`);
	for (const chop of [0, 1])
		table(test, `2.1${chop} ten pings` + (chop ? ', octet-wise' : ''),
		    ten.map((p) => frame(PING, p)), ten.map((p) => [PONG, p]),
		    {chop});
});

group('3 reserved bits', {conf: 'echo yes\n'}, (test) => {
	const hello = frame(TEXT, 'Hello'), heard = [[TEXT, 'Hello']];
	const fails = 1002;
	table(test, '3.1 RSV 1, text', [frame(TEXT, 'x', {rsv: 1})], [], {fails});
	for (const [name, chop] of [['3.2'], ['3.3 in pieces', 7],
	    ['3.4 octet-wise', 1]])
		for (const rsv of [2, 3, 4])
			table(test, `${name} RSV ${rsv} after a text`, [hello,
			    frame(TEXT, 'Hello', {rsv}), frame(PING)], heard,
			    {fails, chop});
	table(test, '3.5 RSV 5, binary', [frame(BINARY, Buffer.alloc(8),
	    {rsv: 5})], [], {fails});
	table(test, '3.6 RSV 6, ping', [frame(PING, 'x', {rsv: 6})], [], {fails});
	table(test, '3.7 RSV 7, close', [frame(CLOSE, closePayload(1000),
	    {rsv: 7})], [], {fails});
	table(test, '3 RSV 4, empty continuation', [frame(TEXT, '', {fin: false}),
	    frame(CONT, '', {rsv: 4})], [], {fails});
});

group('4 opcodes', {conf: 'echo yes\n'}, (test) => {
	for (const op of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
		for (const payload of ['', 'data'])
			for (const chop of [0, 1]) {
				const name = `4 opcode ${op}, ` +
				    `${payload.length} bytes` +
				    (chop ? ', octet-wise' : '');
				table(test, name, [frame(op, payload)], [],
				    {fails: 1002, chop});
				table(test, name + ', after a text',
				    [frame(TEXT, 'Hello'), frame(op, payload),
				    frame(PING)], [[TEXT, 'Hello']],
				    {fails: 1002, chop});
			}
});

group('5 fragments', {conf: 'echo yes\n'}, (test) => {
	const part = (op, p) => frame(op, p, {fin: false});
	const two = [part(TEXT, 'frag1'), frame(CONT, 'frag2')];
	const both = [TEXT, 'frag1frag2'];
	const fails = 1002;
	table(test, '5.1 a ping in two', [part(PING, 'a'), frame(CONT, 'b')], [],
	    {fails});
	table(test, '5.2 a pong in two', [part(PONG, 'a'), frame(CONT, 'b')], [],
	    {fails});
	table(test, '5.2 a close in two', [part(CLOSE, closePayload(1000)),
	    frame(CONT)], [], {fails});
	for (const [name, chop] of [['5.3'], ['5.4 in pieces', 5],
	    ['5.5 octet-wise', 1]])
		table(test, `${name} text in two`, two, [both], {chop});
	for (const [name, chop] of [['5.6'], ['5.7 in pieces', 5],
	    ['5.8 octet-wise', 1]])
		table(test, `${name} a ping between`, [two[0], frame(PING, 'p'),
		    two[1]], [[PONG, 'p'], both], {chop});
	for (const fin of [true, false])
		for (const chop of [0, 5, 1])
			table(test, `5.${fin ? 9 : 12} a continuation of nothing, ` +
			    `FIN ${fin}, ${chop}`, [frame(CONT, 'x', {fin}),
			    frame(TEXT, 'Hello')], [], {fails, chop});
	table(test, '5.15 a continuation after the end', [...two,
	    part(CONT, 'more'), frame(TEXT, 'x')], [both], {fails});
	for (const fin of [false, true])
		table(test, `5.1${fin ? 7 : 6} continuations of nothing`,
		    [frame(CONT, 'a', {fin}), frame(TEXT, 'b'),
		    frame(CONT, 'c', {fin})], [], {fails});
	table(test, '5.18 text within a text', [two[0], frame(TEXT, 'x')], [],
	    {fails});
	table(test, '5.18 binary within a text', [two[0], frame(BINARY, 'x')],
	    [], {fails});
	const five = ['f1', 'f2', 'f3', 'f4', 'f5'].map((p, i) =>
	    frame(i ? CONT : TEXT, p, {fin: i === 4}));
	for (const chop of [0, 1])
		table(test, `5.${chop ? 20 : 19} five with pings` +
		    (chop ? ', octet-wise' : ''), [five[0], five[1],
		    frame(PING, 'p1'), five[2], five[3], frame(PING, 'p2'),
		    five[4]], [[PONG, 'p1'], [PONG, 'p2'], [TEXT, 'f1f2f3f4f5']],
		    {chop});
	test('5.19 the pong does not wait for the message', async (d) => {
		const c = await echo(d);
		c.write(Buffer.concat([five[0], five[1], frame(PING, 'p1')]));
		await c.expect(PONG, 'p1');
		c.write(Buffer.concat([five[2], five[3], frame(PING, 'p2')]));
		await c.expect(PONG, 'p2');
		c.write(five[4]);
		await c.expect(TEXT, 'f1f2f3f4f5');
		await c.close();
	});
	for (const op of [TEXT, BINARY]) {
		table(test, `5 empty ${KIND[op]} fragments`, [part(op, ''),
		    part(CONT, ''), frame(CONT, '')], [[op, '']]);
		table(test, `5 empty ${KIND[op]} fragments around one`,
		    [part(op, ''), part(CONT, 'x'), frame(CONT, '')], [[op, 'x']]);
	}
});

group('6 UTF-8', {conf: 'echo yes\n'}, (test) => {
	table(test, '6.1.1 empty', [frame(TEXT)], [[TEXT, '']]);
	for (const [name, data, at] of utf8Cases) {
		const heard = at < 0 ? [[TEXT, data]] : [];
		const fails = at < 0 ? 0 : 1007;
		table(test, name, [frame(TEXT, data)], heard, {fails});
		if (data.length > 1)
			table(test, name + ', a frame for each byte',
			    fragments(TEXT, data, 1), heard, {fails});
		if (at < 0)
			table(test, name + ', as binary', [frame(BINARY, data)],
			    [[BINARY, data]]);
		if (at < 0 || at >= data.length)
			continue;
		/* Fail fast: as soon as the bad byte is there. */
		test(`${name}, fails at byte ${at}, frames`, async (d) => {
			const c = await echo(d);
			for (let i = 0; i < at; i++) {
				c.send(i ? CONT : TEXT, data.subarray(i, i + 1),
				    {fin: false});
				await c.quiet();
			}
			c.send(at ? CONT : TEXT, data.subarray(at, at + 1),
			    {fin: false});
			await c.closed(1007);
		});
		test(`${name}, fails at byte ${at}, one frame`, async (d) => {
			const c = await echo(d);
			const whole = frame(TEXT, Buffer.concat([data,
			    Buffer.alloc(9)]));
			await c.chop(whole.subarray(0, 6 + at + 1));
			await c.closed(1007);
		});
	}
	table(test, '6.4 a letter over the border of frames',
	    [frame(TEXT, Buffer.from('cebae1bd', 'hex'), {fin: false}),
	    frame(PING, Buffer.from('ffff', 'hex')),
	    frame(CONT, Buffer.from('b9cf83', 'hex'))],
	    [[PONG, Buffer.from('ffff', 'hex')],
	    [TEXT, Buffer.from('cebae1bdb9cf83', 'hex')]]);
	table(test, '6 a cut letter does not go on in the next message',
	    [frame(TEXT, Buffer.from('ce', 'hex')),
	    frame(TEXT, Buffer.from('ba', 'hex'))], [], {fails: 1007});
	table(test, '6 binary may be anything', [frame(BINARY,
	    Buffer.from('fffec080', 'hex'))],
	    [[BINARY, Buffer.from('fffec080', 'hex')]]);
});

group('7 closing', {conf: 'echo yes\n'}, (test) => {
	const bye = frame(CLOSE, closePayload(1000, 'bye'));
	const code = closePayload(1000);

	/* A close is answered with its code; whatever follows is ignored. */
	const answered = (name, frames, heard = [], close = code) =>
		test(name, async (d) => {
			const c = await echo(d);
			c.write(Buffer.concat(frames));
			for (const [opcode, payload] of heard)
				await c.expect(opcode, payload);
			const payload = await c.expect(CLOSE);
			assert.deepEqual([...payload.subarray(0, 2)],
			    [...close.subarray(0, 2)]);
			await c.eof();
		});
	answered('7.1.1 a text, then close', [frame(TEXT, 'Hello'), bye],
	    [[TEXT, 'Hello']]);
	answered('7.1.2 two closes', [bye, bye]);
	answered('7.1.3 close, then ping', [bye, frame(PING, 'x')]);
	answered('7.1.4 close, then text', [bye, frame(TEXT, 'x')]);
	answered('7.1.5 a fragment, close, the rest', [frame(TEXT, 'a',
	    {fin: false}), bye, frame(CONT, 'b')]);
	answered('7.1.6 256 KiB, close, ping', [frame(TEXT,
	    filled(TEXT, 262144)), bye, frame(PING)],
	    [[TEXT, filled(TEXT, 262144)]]);
	answered('7.1 close, then rubbish', [bye, Buffer.alloc(1000, 0xff)]);
	test('7.3.1 an empty close', async (d) => {
		const c = await echo(d);
		c.send(CLOSE);
		assert.ok([0, 1000].includes((await c.closing()).code));
		await c.eof();
	});
	table(test, '7.3.2 a close of one byte fails', [frame(CLOSE, 'x')], [],
	    {fails: 1002});
	answered('7.3.3 a code alone', [frame(CLOSE, code)]);
	answered('7.3.4 a code and a reason', [bye]);
	answered('7.3.5 a reason of 123 bytes',
	    [frame(CLOSE, closePayload(1000, 'x'.repeat(123)))]);
	table(test, '7.3.6 a reason of 124 bytes fails',
	    [frame(CLOSE, closePayload(1000, 'x'.repeat(124)))], [],
	    {fails: 1002});
	table(test, '7.5.1 a reason that is not UTF-8 fails',
	    [frame(CLOSE, Buffer.concat([code,
	    Buffer.from('cebae1bdb9eda080', 'hex')]))], [], {fails: 1007});
	for (const n of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011,
	    1012, 1013, 1014, 3000, 3999, 4000, 4999])
		answered(`7.7 code ${n}`, [frame(CLOSE, closePayload(n))], [],
		    closePayload(n));
	for (const n of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000,
	    2999, 5000, 65535])
		table(test, `7.9 code ${n} fails`,
		    [frame(CLOSE, closePayload(n))], [], {fails: 1002});
	test('7 a close, octet-wise', async (d) => {
		const c = await echo(d);
		c.chop(bye);
		assert.equal((await c.closing()).code, 1000);
		await c.eof();
	});
	test('7 a FIN without a close', async (d) => {
		const c = await echo(d);
		c.text('x');
		await c.expect(TEXT, 'x');
		c.socket.end();
		await c.wait('EOF', () => c.ended);
	});
	test('7 a FIN within a frame', async (d) => {
		const c = await echo(d);
		await c.write(frame(TEXT, 'hello').subarray(0, 8));
		c.socket.end();
		await c.wait('EOF', () => c.ended);
	});
});
