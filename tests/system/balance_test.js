/* How connections spread over the workers. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {until} = require('./daemon.js');
const {Client} = require('./client.js');

/* Opens n connections at once and judges the workers' shares. */
async function spread(d, n) {
	await Promise.all(Array.from({length: n}, (_, i) =>
	    Client.user(d.port, `u${i}`)));
	const counts = await d.balance();
	assert.equal(counts.reduce((a, b) => a + b), n);
	const difference = Math.max(...counts) - Math.min(...counts);
	const mean = n / counts.length;
	const allowed = mean < 40 ? 4 : mean * 0.2;
	assert.ok(difference <= allowed,
	    `${counts}: ${difference} apart, ${allowed} allowed`);
	Client.dropAll();
	await until('everybody is gone', async () =>
	    (await d.balance()).every((c) => c === 0), 10000);
}

group('balance', {}, (test) => {
	for (let round = 1; round <= 5; round++)
		test(`16 at once, round ${round}`, (d) => spread(d, 16));
	for (let round = 1; round <= 3; round++)
		test(`200 at once, round ${round}`, (d) => spread(d, 200));
	test('3,000 at once', (d) => spread(d, 3000), {limit: 60000});
	test('one after the other', async (d) => {
		for (let i = 0; i < 40; i++)
			await Client.user(d.port, `u${i}`);
		const counts = await d.balance();
		assert.ok(Math.max(...counts) - Math.min(...counts) <= 4,
		    String(counts));
	});
	test('after half of them have left', async (d) => {
		const first = await Promise.all(Array.from({length: 80}, (_, i) =>
		    Client.user(d.port, `u${i}`)));
		const seen = await d.json('show', 'connections');
		/* All connections of two workers leave, 80 others come. */
		for (const s of seen.filter((one) => one.worker < 2))
			first[Number(s.user.slice(1))].drop();
		await until('they are gone', async () =>
		    (await d.balance()).slice(0, 2).every((c) => c === 0));
		await Promise.all(Array.from({length: 80}, (_, i) =>
		    Client.user(d.port, `v${i}`)));
		const counts = await d.balance();
		const mean = counts.reduce((a, b) => a + b) / 4;
		assert.ok(Math.max(...counts) - Math.min(...counts) <=
		    (mean < 40 ? 4 : mean * 0.2), String(counts));
	});
});
