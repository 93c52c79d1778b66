/*
 * UTF-8, right and wrong: Autobahn's sections 6.2 to 6.23, which follow Markus
 * Kuhn's "UTF-8 decoder capability and stress test". [name, bytes in hex,
 * index of the byte at which it is wrong (-1: right; the length: cut off)].
 */
'use strict';

const KOSME = 'cebae1bdb9cf83cebcceb5';
const out = [];

/* Adds a right one. */
function right(name, hex) {
	out.push([name, hex, -1]);
}

/* Adds a wrong one; `at` bytes are still the beginning of something right. */
function wrong(name, hex, at) {
	out.push([name, hex, at]);
}

right('6.2 mixed scripts', Buffer.from('Hello-µ@ßöäüàá-UTF-8!!')
    .toString('hex'));
wrong('6.3 a surrogate within', KOSME + 'eda080' + '656469746564', 12);
right('6.5 five letters', KOSME);
/* 6.6: the same, cut after each byte. */
for (let n = 1; n <= 11; n++) {
	const whole = [2, 5, 7, 9, 11].includes(n);
	(whole ? right : wrong)(`6.6 cut after ${n}`, KOSME.slice(0, 2 * n), n);
}
/* 6.7, 6.8: first and last possible sequence of each length. */
right('6.7 U+0000', '00');
right('6.7 U+0080', 'c280');
right('6.7 U+0800', 'e0a080');
right('6.7 U+10000', 'f0908080');
wrong('6.8 U+200000', 'f888808080', 0);
wrong('6.8 U+4000000', 'fc8480808080', 0);
right('6.9 U+007F', '7f');
right('6.9 U+07FF', 'dfbf');
right('6.9 U+FFFF', 'efbfbf');
right('6.9 U+10FFFF', 'f48fbfbf');
wrong('6.10 U+1FFFFF', 'f7bfbfbf', 0);
wrong('6.10 U+3FFFFFF', 'fbbfbfbfbf', 0);
wrong('6.10 U+7FFFFFFF', 'fdbfbfbfbfbf', 0);
right('6.11 U+D7FF', 'ed9fbf');
right('6.11 U+E000', 'ee8080');
right('6.11 U+FFFD', 'efbfbd');
right('6.11 U+10FFFF', 'f48fbfbf');
wrong('6.11 U+110000', 'f4908080', 1);
/* 6.12: continuation bytes that nobody expects. */
for (let n = 1; n <= 7; n++)
	wrong(`6.12 ${n} continuation bytes`, '80bf80bf80bf80'.slice(0, 2 * n),
	    0);
wrong('6.12 bf', 'bf', 0);
wrong('6.12 all of them', Buffer.from(Array.from({length: 64}, (_, i) =>
    0x80 + i)).toString('hex'), 0);
/* 6.13: start bytes, each followed by a space. */
for (const [from, to] of [[0xc0, 0xdf], [0xe0, 0xef], [0xf0, 0xf7],
    [0xf8, 0xfb], [0xfc, 0xfd]]) {
	let hex = '';
	for (let b = from; b <= to; b++)
		hex += b.toString(16) + '20';
	wrong(`6.13 lonely ${from.toString(16)} to ${to.toString(16)}`, hex,
	    from === 0xc0 || from > 0xf4 ? 0 : 1);
}
for (const b of ['c2', 'df', 'e0', 'ed', 'ef', 'f0', 'f4'])
	wrong(`6.13 lonely ${b}`, b + '20', 1);
/* 6.14: sequences whose last byte is missing; 6.15: all of them. */
wrong('6.14 c0', 'c0', 0);
wrong('6.14 e080', 'e080', 1);
wrong('6.14 f08080', 'f08080', 1);
wrong('6.14 f8808080', 'f8808080', 0);
wrong('6.14 fc80808080', 'fc80808080', 0);
wrong('6.14 df', 'df', 1);
wrong('6.14 efbf', 'efbf', 2);
wrong('6.14 f48fbf', 'f48fbf', 3);
wrong('6.14 f7bfbf', 'f7bfbf', 0);
wrong('6.14 fbbfbfbf', 'fbbfbfbf', 0);
wrong('6.14 fdbfbfbfbf', 'fdbfbfbfbf', 0);
wrong('6.15 concatenated', 'c0e080f08080f8808080fc80808080dfefbff7bfbf' +
    'fbbfbfbffdbfbfbfbf', 0);
/* 6.16: bytes that never occur. */
wrong('6.16 fe', 'fe', 0);
wrong('6.16 ff', 'ff', 0);
wrong('6.16 fefeffff', 'fefeffff', 0);
/* 6.17 to 6.19: longer than need be. */
wrong('6.17 c0af', 'c0af', 0);
wrong('6.17 e080af', 'e080af', 1);
wrong('6.17 f08080af', 'f08080af', 1);
wrong('6.17 f8808080af', 'f8808080af', 0);
wrong('6.17 fc80808080af', 'fc80808080af', 0);
wrong('6.18 c1bf', 'c1bf', 0);
wrong('6.18 e09fbf', 'e09fbf', 1);
wrong('6.18 f08fbfbf', 'f08fbfbf', 1);
wrong('6.18 f887bfbfbf', 'f887bfbfbf', 0);
wrong('6.18 fc83bfbfbfbf', 'fc83bfbfbfbf', 0);
wrong('6.19 c080', 'c080', 0);
wrong('6.19 e08080', 'e08080', 1);
wrong('6.19 f0808080', 'f0808080', 1);
wrong('6.19 f880808080', 'f880808080', 0);
wrong('6.19 fc8080808080', 'fc8080808080', 0);
/* 6.20, 6.21: surrogates, single and in pairs. */
for (const hex of ['eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80',
    'edbfbf', 'eda080edb080', 'eda080edbfbf', 'edadbfedb080', 'edadbfedbfbf',
    'edae80edb080', 'edae80edbfbf', 'edafbfedb080', 'edafbfedbfbf'])
	wrong(`6.20 ${hex}`, hex, 1);
/* 6.22, 6.23: noncharacters and specials are right. */
right('6.22 U+FFFE', 'efbfbe');
right('6.22 U+FFFF', 'efbfbf');
for (let plane = 1; plane <= 16; plane++)
	for (const low of [0xfffe, 0xffff]) {
		const point = plane * 0x10000 + low;
		right(`6.22 U+${point.toString(16).toUpperCase()}`,
		    Buffer.from(String.fromCodePoint(point)).toString('hex'));
	}
for (let point = 0xfff9; point <= 0xfffd; point++)
	right(`6.23 U+${point.toString(16).toUpperCase()}`,
	    Buffer.from(String.fromCodePoint(point)).toString('hex'));

module.exports = out.map(([name, hex, at]) =>
    [name, Buffer.from(hex, 'hex'), at]);
