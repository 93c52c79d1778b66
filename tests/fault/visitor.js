/*
 * visitor: a client that is watched to its end; what it hears goes to hear().
 *
 *	class Person extends Visitor { hear(text) { ... } }
 *	const p = await Person.open(d, '/ws?user=u');
 *	await p.wait('an answer', () => ...);   // fails if it is closed
 *	p.end                                   // "4001 kicked", null: open
 */
'use strict';

const assert = require('node:assert/strict');
const WebSocket = require('ws');
const {until} = require('../system/daemon.js');

class Visitor {
	constructor(d, target) {
		this.end = null;
		this.ws = new WebSocket(`ws://127.0.0.1:${d.port}${target}`);
		this.ws.on('error', () => {});
		this.ws.on('close', (code, reason) => {
			this.end = `${code} ${reason}`;
		});
		this.ws.on('message', (data) => this.hear(String(data)));
	}

	static async open(...how) {
		const p = new this(...how);
		await until('it is open', () =>
		    p.end === null && p.ws.readyState === WebSocket.OPEN);
		return p;
	}

	/* Until the condition holds; it must not be closed meanwhile. */
	async wait(what, condition) {
		await until(what, () => this.end !== null || condition());
		assert.equal(this.end, null, `${what}: closed`);
	}
}

module.exports = {Visitor};
