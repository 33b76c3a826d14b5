/** The only module that fetches. Everything is same-origin; the session cookie says who asks. */

import type { DataSet } from "./dicom-json";
import { RequestQueue } from "./request-queue";
import { thumbnailUrl } from "./series";
import { sessionEnded } from "./session-end";

export const DICOMWEB_ROOT = "/dicom-web";
export const API_ROOT = "/api";

/** What went wrong on the way, in a sentence that can be shown. */
export class RequestError extends Error {
	constructor(
		message: string,
		readonly status: number,
	) {
		super(message);
	}

	/** True when the session has ended and signing in again helps. */
	get signedOut(): boolean {
		return this.status === 401;
	}
}

const SENTENCES: Readonly<Record<number, string>> = {
	0: "The server cannot be reached.",
	401: "Your session has ended.",
	403: "You may not see this.",
	404: "The archive does not have this.",
	503: "The server is busy or out of space.",
};

export function sentenceForStatus(status: number): string {
	return SENTENCES[status] ?? `The server answered with an error (${status}).`;
}

async function request(path: string, init: RequestInit): Promise<Response> {
	let response: Response;
	try {
		response = await fetch(path, { credentials: "same-origin", ...init });
	} catch (error) {
		if (init.signal?.aborted) throw error;
		throw new RequestError(sentenceForStatus(0), 0);
	}
	if (response.status === 401) sessionEnded();
	if (!response.ok) throw new RequestError(sentenceForStatus(response.status), response.status);
	return response;
}

async function json<T>(path: string, accept: string, signal?: AbortSignal): Promise<T | undefined> {
	const response = await request(path, { headers: { Accept: accept }, signal: signal ?? null });
	if (response.status === 204) return undefined;
	return (await response.json()) as T;
}

const metadataQueue = new RequestQueue(2);
const pictureQueue = new RequestQueue(2);

export interface Asked {
	signal?: AbortSignal | undefined;
	/** Lower comes first. */
	priority?: number;
}

const path = (...parts: string[]) => [DICOMWEB_ROOT, ...parts.map(encodeURIComponent)].join("/");

export function seriesPath(study: string, series: string): string {
	return path("studies", study, "series", series);
}

export function instancePath(study: string, series: string, instance: string): string {
	return path("studies", study, "series", series, "instances", instance);
}

/** Where the browser's own player gets a video from; it asks for ranges as it needs them. */
export function videoUrl(study: string, series: string, instance: string): string {
	return `${instancePath(study, series, instance)}/rendered?accept=${encodeURIComponent("video/*")}`;
}

/** The first image a presentation state is for, as the server draws it with the state. */
export function presentedUrl(study: string, series: string, instance: string): string {
	return `${instancePath(study, series, instance)}/rendered?accept=${encodeURIComponent("image/png")}`;
}

/** QIDO-RS on studies; parameters by keyword or tag. */
export async function searchStudies(
	parameters: Record<string, string>,
	signal?: AbortSignal,
): Promise<DataSet[]> {
	const query = new URLSearchParams(parameters);
	return (
		(await json<DataSet[]>(`${path("studies")}?${query}`, "application/dicom+json", signal)) ?? []
	);
}

/** QIDO-RS on the series of a study. */
export async function searchSeries(study: string, signal?: AbortSignal): Promise<DataSet[]> {
	const query = new URLSearchParams({
		includefield:
			"SeriesDescription,SeriesNumber,SeriesDate,SeriesTime,NumberOfSeriesRelatedInstances",
	});
	const where = `${path("studies", study, "series")}?${query}`;
	return (await json<DataSet[]>(where, "application/dicom+json", signal)) ?? [];
}

/** WADO-RS metadata of all instances of a series, two series at a time. */
export function seriesMetadata(
	study: string,
	series: string,
	asked: Asked = {},
): Promise<DataSet[]> {
	const where = `${seriesPath(study, series)}/metadata`;
	return metadataQueue.run(
		async () => (await json<DataSet[]>(where, "application/dicom+json", asked.signal)) ?? [],
		asked,
	);
}

/** One element of an instance as the header inspector shows it; `length` is -1 when undefined. */
export interface HeaderElement {
	depth: number;
	tag: string;
	vr: string;
	vm: number | string;
	length: number;
	keyword: string;
	name: string;
	creator: string;
	value: string;
	truncated: boolean;
}

const apiInstancePath = (study: string, series: string, instance: string) =>
	`${API_ROOT}/studies/${study}/series/${series}/instances/${instance}`;

export async function instanceHeader(
	study: string,
	series: string,
	instance: string,
	signal?: AbortSignal,
): Promise<HeaderElement[]> {
	const where = `${apiInstancePath(study, series, instance)}/header/`;
	return (await json<HeaderElement[]>(where, "application/json", signal)) ?? [];
}

/** Bulk data links may name the server's public address; the page only asks its own origin. */
export function ownOrigin(uri: string): string {
	const { pathname, search } = new URL(uri, window.location.origin);
	const start = pathname.indexOf(`${DICOMWEB_ROOT}/`);
	return start < 0 ? uri : pathname.slice(start) + search;
}

/** The bytes behind a BulkDataURI. */
export async function bulkData(uri: string, signal?: AbortSignal): Promise<Uint8Array> {
	const response = await request(ownOrigin(uri), {
		headers: { Accept: 'multipart/related; type="application/octet-stream"' },
		signal: signal ?? null,
	});
	const bytes = new Uint8Array(await response.arrayBuffer());
	const type = response.headers.get("Content-Type") ?? "";
	return type.startsWith("multipart/") ? firstPart(bytes) : bytes;
}

/** Body of the first part of a multipart answer; the boundary is its first line. */
export function firstPart(bytes: Uint8Array): Uint8Array {
	const latin = new TextDecoder("latin1").decode(bytes);
	const opening = latin.indexOf("--");
	const boundary = latin.slice(opening, latin.indexOf("\r\n", opening));
	const head = latin.indexOf("\r\n\r\n", opening);
	if (opening < 0 || head < 0 || boundary.length < 3) {
		throw new RequestError("The server's answer cannot be read.", 200);
	}
	const start = head + 4;
	const end = latin.indexOf(`\r\n${boundary}`, start);
	return bytes.subarray(start, end < 0 ? bytes.length : end);
}

/**
 * A small picture as an object URL; whoever asked revokes it. Without an instance it is the one
 * that stands for the series.
 */
export function thumbnail(
	study: string,
	series: string,
	instance: string | undefined,
	asked: Asked = {},
): Promise<string> {
	const where = instance
		? `${instancePath(study, series, instance)}/thumbnail?viewport=152,112`
		: thumbnailUrl(study, series);
	return pictureQueue.run(async () => {
		const response = await request(where, {
			headers: { Accept: "image/jpeg" },
			signal: asked.signal ?? null,
		});
		return URL.createObjectURL(await response.blob());
	}, asked);
}
