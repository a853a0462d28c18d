// The answers of the OpenAI and Anthropic APIs that their official SDKs need, in the shapes they publish.

const WORDS = ['Hello', ' from', ' the', ' other', ' side', '.'];
const TEXT = WORDS.join('');

function json(res, status, body, headers = {}) {
  const text = JSON.stringify(body);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
  res.end(text);
}

/** Writes events one by one, so that a proxy which gathers them is found out. */
async function sse(res, events, pauseMs = 5) {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for (const { event, data } of events) {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    res.write(`${event ? `event: ${event}\n` : ''}data: ${text}\n\n`);
    await new Promise((done) => setTimeout(done, pauseMs));
  }
  res.end();
}

function chatCompletion(body) {
  return {
    id: 'chatcmpl-1', object: 'chat.completion', created: 1700000000, model: body.model,
    choices: [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 9, completion_tokens: 6, total_tokens: 15 },
  };
}

function chatChunks(body) {
  const chunk = (delta, finish = null) => ({ data: {
    id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1700000000, model: body.model,
    choices: [{ index: 0, delta, finish_reason: finish }],
  } });
  return [chunk({ role: 'assistant' }), ...WORDS.map((w) => chunk({ content: w })), chunk({}, 'stop'), { data: '[DONE]' }];
}

function responseObject(body, status, text) {
  return {
    id: 'resp_1', object: 'response', created_at: 1700000000, status, model: body.model, error: null,
    output: text ? [{ type: 'message', id: 'msg_1', status: 'completed', role: 'assistant',
      content: [{ type: 'output_text', text, annotations: [] }] }] : [],
    usage: text ? { input_tokens: 9, output_tokens: 6, total_tokens: 15 } : null,
  };
}

function responseEvents(body) {
  const event = (type, rest) => ({ event: type, data: { type, ...rest } });
  const item = { type: 'message', id: 'msg_1', status: 'in_progress', role: 'assistant', content: [] };
  return [
    event('response.created', { sequence_number: 0, response: responseObject(body, 'in_progress', '') }),
    event('response.output_item.added', { sequence_number: 1, output_index: 0, item }),
    event('response.content_part.added', { sequence_number: 2, item_id: 'msg_1', output_index: 0, content_index: 0,
      part: { type: 'output_text', text: '', annotations: [] } }),
    ...WORDS.map((delta, i) => event('response.output_text.delta', {
      sequence_number: 3 + i, item_id: 'msg_1', output_index: 0, content_index: 0, delta })),
    event('response.completed', { sequence_number: 99, response: responseObject(body, 'completed', TEXT) }),
  ];
}

function anthropicMessage(body) {
  return {
    id: 'msg_1', type: 'message', role: 'assistant', model: body.model, stop_reason: 'end_turn', stop_sequence: null,
    content: [{ type: 'text', text: TEXT }], usage: { input_tokens: 9, output_tokens: 6 },
  };
}

function anthropicEvents(body) {
  const event = (type, rest) => ({ event: type, data: { type, ...rest } });
  return [
    event('message_start', { message: { ...anthropicMessage(body), content: [], stop_reason: null,
      usage: { input_tokens: 9, output_tokens: 1 } } }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    event('ping', {}),
    ...WORDS.map((text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })),
    event('content_block_stop', { index: 0 }),
    event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 6 } }),
    event('message_stop', {}),
  ];
}

const routes = {
  'POST /v1/chat/completions': [chatCompletion, chatChunks],
  'POST /v1/responses': [(body) => responseObject(body, 'completed', TEXT), responseEvents],
  'POST /v1/messages': [anthropicMessage, anthropicEvents],
};

/** Answers an AI call; false when the route is none of theirs. */
export async function answerProvider(req, res, path, bodyText) {
  const key = `${req.method} ${path}`;
  if (key === 'GET /v1/models') {
    json(res, 200, { object: 'list', data: [{ id: 'gpt-test', object: 'model', created: 1700000000, owned_by: 'mock' }] });
    return true;
  }
  if (req.method === 'GET' && path.startsWith('/v1/files/')) {
    json(res, 200, { id: path.slice(10), object: 'file', bytes: 3, filename: 'a.txt', purpose: 'batch' });
    return true;
  }
  if (req.method === 'GET' && path.startsWith('/v1/batches/')) {
    json(res, 200, { id: path.slice(12), object: 'batch', status: 'completed' });
    return true;
  }
  const route = routes[key];
  if (!route) return false;
  const body = JSON.parse(bodyText);
  if (body.stream) await sse(res, route[1](body));
  else json(res, 200, route[0](body), { 'x-ratelimit-remaining-requests': '99' });
  return true;
}

export { TEXT as MOCK_TEXT, json };
