/*
 * Tables of the default size: 600 connections of one address with 128 channels
 * each lock nobody out, with short names, long ones, and one token; 5,000 users
 * of one address with 10 channels each are all served.
 */
'use strict';

const assert = require('node:assert/strict');
const {choose} = require('../fault/builds.js');
choose('release');
const {group} = require('../system/suite.js');
const {SECRET} = require('../system/centrifugo.js');
const {names, subscribe, visitor} = require('../system/quota.js');

const TABLE = 65536, FLOOD = 600, EACH = 128, LIMIT = {limit: 280000};
const A = '127.0.0.1', B = '127.0.0.2';
const RULES = `channel "*" {\n\tsubscribe all\n}\n`;

/* 600 connections of one address; how many channels they got. */
async function flood(d, who, length) {
	let got = 0;
	for (let i = 0; i < FLOOD; i++) {
		const l = await visitor(d, A, ...who(i));
		assert.ok(!l.error, JSON.stringify(l.error));
		got += (await subscribe(l, names(`t${i}.`, EACH, length))).got;
	}
	return got;
}

/* A newcomer has an eighth of everything to himself. */
async function newcomer(d, who) {
	const l = await visitor(d, B, ...who);
	assert.ok(!l.error, JSON.stringify(l.error));
	assert.equal((await subscribe(l, names('my', 100, 40))).got, 100);
}

for (const length of [0, 255])
	group(`one address, names of ${length || 'any'} bytes`, {workers: 2,
	    conf: `limit-exempt none\nchannels-per-user off\n${RULES}`},
	    (test) => {
		test(`${FLOOD} x ${EACH}`, async (d) => {
			const got = await flood(d, (i) => [`?user=m${i}`], length);
			assert.equal(got, TABLE / 2);
			await newcomer(d, ['?user=newcomer']);
			const stats = await d.ask('show', 'stats');
			assert.equal(stats.over_address_share, FLOOD * EACH - got);
			assert.equal(stats.channels_full, 0);
		}, LIMIT);
	});

group('one token', {workers: 2, conf: `token-key "${SECRET}"\n${RULES}`},
    (test) => {
	test(`${FLOOD} x ${EACH}`, async (d) => {
		const got = await flood(d, () => ['', {sub: 'mallory'}]);
		assert.ok(got >= 1020 && got <= 1024, `${got}`);
		await newcomer(d, ['', {sub: 'newcomer'}]);
	}, LIMIT);
});

group('an office', {workers: 2, conf: `limit-exempt none\n${RULES}`},
    (test) => {
	test('5,000 users of one address, 10 channels each', async (d) => {
		for (let i = 0; i < 5000; i++) {
			const l = await visitor(d, A, `?user=u${i}`);
			assert.ok(!l.error, JSON.stringify(l.error));
			const r = await subscribe(l, [...names(`own${i}.`, 6),
			    ...names(`team${i % 200}.`, 4)]);
			assert.equal(r.got, 10, JSON.stringify(r.error));
		}
		await newcomer(d, ['?user=newcomer']);
	}, LIMIT);
});
