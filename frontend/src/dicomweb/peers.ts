/** Other archives: searched, fetched from and sent to. What they say is text and nothing else. */
import { today } from "./calendar";
import { getJson, postJson, unsafeJson } from "./rest";
import type { StudyFilter } from "./studies";

/** Another archive: its AE title, or its name where it speaks DICOMweb itself. */
export interface Elsewhere {
	kind: "dimse" | "dicomweb";
	title: string;
}

export interface Peer extends Elsewhere {
	description: string;
	/** Offered beside the study list. */
	queried: boolean;
}

export interface RemoteStudy {
	StudyInstanceUID: string;
	PatientName: string;
	PatientID: string;
	PatientBirthDate: string;
	PatientSex: string;
	StudyDate: string;
	StudyTime: string;
	AccessionNumber: string;
	StudyDescription: string;
	ReferringPhysicianName: string;
	ModalitiesInStudy: string[];
	/** As the archive counts them; null where it does not say. */
	series: number | null;
	there: number | null;
	/** Instances of it that are here; null for who may not know. */
	here: number | null;
}

export interface FoundPage {
	state: "running" | "done" | "failed" | "cancelled";
	message: string;
	studies: RemoteStudy[];
	next: number;
	more: boolean;
	unusable: number;
}

export type TransferState = "waiting" | "running" | "succeeded" | "partly" | "failed" | "cancelled";

export interface Transfer {
	id: number;
	kind: "send" | "pull";
	state: TransferState;
	peer_title: string;
	protocol: Elsewhere["kind"];
	/** Of what is fetched; empty for what is sent. */
	study_instance_uid: string;
	method: "move" | "get" | "wado-rs" | "stow-rs" | "";
	total: number;
	completed: number;
	warning: number;
	failed: number;
	attempts: number;
	most_attempts: number;
	asked_by_name: string;
	/** Somebody else asked for the same meanwhile. */
	shared: boolean;
	message: string;
	not_before: string;
}

export const MOST_FOUND = 200;

export function fetchPeers(signal?: AbortSignal): Promise<Peer[]> {
	return getJson("/api/peers/", signal);
}

/** Begins a search there; its name. */
export async function beginSearch(where: Elsewhere, filter: StudyFilter): Promise<string> {
	const { q, date, date_from, date_to, modality, description, accession, referring } = filter;
	const asked = { q, date, date_from, date_to, modality, description, accession, referring };
	const body = { ...asked, today: today(), limit: MOST_FOUND };
	const kind = where.kind === "dicomweb" ? "archives" : "peers";
	const path = `/api/${kind}/${encodeURIComponent(where.title)}/searches/`;
	return (await postJson<{ search: string }>(path, body)).search;
}

export function fetchFound(
	search: string,
	after: number,
	signal?: AbortSignal,
): Promise<FoundPage> {
	return getJson(`/api/peer-searches/${encodeURIComponent(search)}/?after=${after}`, signal);
}

export function giveUpSearch(search: string): Promise<void> {
	return unsafeJson("DELETE", `/api/peer-searches/${encodeURIComponent(search)}/`);
}

/** What is under way with an archive, and what became of these. */
export async function fetchTransfers(
	where: Elsewhere,
	ids: number[],
	signal?: AbortSignal,
): Promise<Transfer[]> {
	const query = new URLSearchParams({ active: "1", [keyOf(where)]: where.title });
	const active = await getJson<Transfer[]>(`/api/transfers/?${query}`, signal);
	const known = new Set(active.map((each) => each.id));
	const others = ids.filter((id) => !known.has(id));
	if (others.length === 0) return active;
	return [...active, ...(await fetchTransfersById(others, signal))];
}

export function fetchTransfersById(ids: number[], signal?: AbortSignal): Promise<Transfer[]> {
	const query = new URLSearchParams(ids.map((id) => ["id", String(id)]));
	return getJson(`/api/transfers/?${query}`, signal);
}

export function fetchStudy(
	where: Elsewhere,
	study: string,
	method: "move" | "get",
): Promise<Transfer> {
	const named = { [keyOf(where)]: where.title };
	const keys = { StudyInstanceUID: study };
	return postJson("/api/transfers/fetch/", { ...named, keys, method });
}

function keyOf(where: Elsewhere): "peer" | "archive" {
	return where.kind === "dicomweb" ? "archive" : "peer";
}

export function sendStudies(where: Elsewhere, studies: string[]): Promise<Transfer> {
	return postJson("/api/transfers/", { [keyOf(where)]: where.title, studies });
}

export function cancelTransfer(id: number): Promise<Transfer> {
	return unsafeJson("DELETE", `/api/transfers/${id}/`);
}

export function retryTransfer(id: number): Promise<Transfer> {
	return postJson(`/api/transfers/${id}/retry/`, {});
}
