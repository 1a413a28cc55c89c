/** The grid of groups and nodes, for administrators: which node holds which replica, and how far it is. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Poller, groups } from '../../api/calls.js';
import { count, errorBox, icon, plural, tableBox } from '../../components/ui.js';

const POLL_MS = 1_000;

export class Groups {
  #list;

  constructor(app) {
    this.app = app;
    this.#list = new Poller(POLL_MS, groups.list, () => app.update());
  }

  start() {
    this.stop();
    if (this.app.session.role === 'admin') this.#list.start(); // others see none
  }

  stop() { this.#list.stop(); }

  /** `nodes` are the members, in the order of their columns. */
  view(nodes) {
    const { value, error } = this.#list;
    if (error) {
      if (error.status === 0) return nothing; // the page already shows that the node does not answer
      return section(errorBox(error, 'groups-error'));
    }
    if (!value || value.length < 2) return nothing; // the system group alone is what the cards show
    const list = [...value].sort((a, b) => faults(b) - faults(a) || a.id - b.id);
    return section(tableBox('Groups', html`<table class="docs" data-testid="groups-table">
      <thead><tr><th scope="col">Group</th><th scope="col">State</th>
        ${nodes.map(({ id }) => html`<th scope="col">${id}</th>`)}
        <th scope="col">Databases</th></tr></thead>
      <tbody>${list.map((group) => row(group, nodes))}</tbody></table>`));
  }
}

const section = (content) => html`<section class="long-work" aria-labelledby="groups-title">
  <div class="section-head"><h2 id="groups-title">Groups</h2></div>${content}</section>`;

/** How much is wrong with a group: it comes first then. */
const faults = (group) => (group.ready ? 0 : 100) + missing(group) + moving(group).length;
const missing = ({ members, replication_factor: wanted, id }) => (id === 0 ? 0 : Math.max(0, wanted - members.length));
const moving = ({ replicas }) => replicas.filter(({ wanted, state }) => !wanted || state !== 'ACTIVE');

function row(group, nodes) {
  const { id, databases } = group;
  const names = databases.filter((name) => name !== '_system');
  return html`<tr data-testid="group-row" data-id=${id} data-ready=${group.ready}>
    <td>${id === 0 ? '0, system' : id}</td><td data-testid="group-state">${state(group)}
      ${group.waits_for ? html`<div class="muted">waits for ${group.waits_for}</div>` : nothing}</td>
    ${nodes.map((node) => html`<td data-testid="group-replica" data-node=${node.id}>${cell(group, node.id)}</td>`)}
    <td title=${names.join(', ')}>${names.length > 3 ? plural(names.length, 'database') : names.join(', ')}</td></tr>`;
}

function state(group) {
  if (group.state !== 'ACTIVE') return group.state.toLowerCase();
  if (!group.ready) return 'no leader';
  const lacks = missing(group);
  if (lacks) return `lacks ${plural(lacks, 'replica')}`;
  const moves = moving(group).length;
  return moves ? `${plural(moves, 'replica')} moving` : 'active';
}

function cell(group, node) {
  const replica = group.replicas.find((one) => one.node === node);
  if (!replica) return nothing;
  const role = replica.voter ? 'voter' : 'observer';
  const lag = replica.lag ? html` <span class="muted">lacks ${count(replica.lag)}</span>` : nothing;
  if (replica.state === undefined) return 'to come';
  if (!replica.wanted) return html`to go${lag}`;
  if (replica.state === 'JOINING') return html`joining${lag}`;
  return group.leader === node
    ? html`<span class="crown" title="Leader">${icon('crown')}</span> leader` : html`${role}${lag}`;
}
