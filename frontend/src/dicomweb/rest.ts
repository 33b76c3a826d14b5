/** The REST API: JSON in and out, sign-in kept by the session cookie. */

import { sessionEnded } from "./session-end";

/** A refusal by the server, in its own plain sentence. */
export class RestError extends Error {
	constructor(
		readonly status: number,
		message: string,
	) {
		super(message);
		this.name = "RestError";
	}
}

const CSRF_COOKIE = "pacsweb_csrf=";

/** The token for unsafe requests: the cookie that came with the page, and changes at sign-in. */
export function csrfHeaders(): Record<string, string> {
	const found = document.cookie.split("; ").find((each) => each.startsWith(CSRF_COOKIE));
	return found ? { "X-CSRFToken": decodeURIComponent(found.slice(CSRF_COOKIE.length)) } : {};
}

/** What the server refused, in its own sentence; notices when the session has ended. */
export async function failure(response: Response): Promise<RestError> {
	if (response.status === 401) sessionEnded();
	let message =
		response.status === 401
			? "Your session has ended."
			: `The server answered with an error (${response.status}).`;
	try {
		const body: unknown = await response.json();
		if (body && typeof body === "object" && "detail" in body) message = String(body.detail);
	} catch {
		// Not JSON: the status has to do.
	}
	return new RestError(response.status, message);
}

/** `fetch` whose failure to reach anybody is a sentence; aborting stays aborting. */
export async function reach(path: string, init: RequestInit): Promise<Response> {
	try {
		return await fetch(path, init);
	} catch (error) {
		if (init.signal?.aborted) throw error;
		throw new RestError(0, "The server cannot be reached.");
	}
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
	const response = await reach(path, {
		headers: { Accept: "application/json" },
		credentials: "same-origin",
		signal: signal ?? null,
	});
	if (!response.ok) throw await failure(response);
	return (await response.json()) as T;
}

export function postJson<T>(path: string, body: unknown): Promise<T> {
	return unsafeJson<T>("POST", path, body);
}

/** A request that changes something; an answer without a body gives undefined. */
export async function unsafeJson<T>(
	method: "POST" | "PUT" | "PATCH" | "DELETE",
	path: string,
	body?: unknown,
): Promise<T> {
	const response = await reach(path, {
		method,
		headers: { Accept: "application/json", "Content-Type": "application/json", ...csrfHeaders() },
		credentials: "same-origin",
		body: body === undefined ? null : JSON.stringify(body),
	});
	if (!response.ok) throw await failure(response);
	return (response.status === 204 ? undefined : await response.json()) as T;
}
