// biome-ignore-all lint/a11y/useSemanticElements: the same grid as the list of what is here
// biome-ignore-all lint/a11y/useFocusableInteractive: the page moves the selection by keys, not the focus
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import type { RemoteStudy, Transfer } from "../../dicomweb/peers";
import { presenceOf } from "../../model/transfer";
import { REMOTE_COLUMNS, REMOTE_TRACKS } from "./remoteColumns";

interface Props {
	rows: RemoteStudy[];
	transfers: Map<string, Transfer>;
	selected: string | null;
	marked: ReadonlySet<string>;
	onSelect: (uid: string, extend: "one" | "toggle" | "range") => void;
	onOpen: (uid: string) => void;
	sort: string;
	onSort: (sort: string) => void;
	filters: ReactNode;
	children?: ReactNode;
}

/** Answers of another archive, a few hundred at most. */
export function RemoteTable(props: Props) {
	const { rows, selected, marked } = props;
	const body = useRef<HTMLDivElement>(null);
	useEffect(() => {
		if (selected === null) return;
		body.current
			?.querySelector(`[data-uid="${CSS.escape(selected)}"]`)
			?.scrollIntoView({ block: "nearest" });
	}, [selected]);
	const style = { "--columns": REMOTE_TRACKS, "--row-height": "40px" } as React.CSSProperties;
	return (
		<div
			className="table remote-table"
			role="grid"
			aria-label="Studies in another archive"
			aria-rowcount={rows.length}
			aria-multiselectable="true"
			style={style}
		>
			<div className="table-head">
				<Head sort={props.sort} onSort={props.onSort} />
				{props.filters}
			</div>
			<div className="table-body" ref={body}>
				{rows.map((row) => (
					// biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled for the whole page
					<div
						key={row.StudyInstanceUID}
						className="table-row study-row remote-row"
						role="row"
						tabIndex={-1}
						aria-selected={selected === row.StudyInstanceUID || marked.has(row.StudyInstanceUID)}
						data-uid={row.StudyInstanceUID}
						data-presence={presenceOf(row)}
						onClick={(event) =>
							props.onSelect(
								row.StudyInstanceUID,
								event.shiftKey ? "range" : event.ctrlKey || event.metaKey ? "toggle" : "one",
							)
						}
						onDoubleClick={() => props.onOpen(row.StudyInstanceUID)}
					>
						{REMOTE_COLUMNS.map((column) => (
							<div key={column.id} className="cell" role="gridcell" data-column={column.id}>
								{column.cell(row, props.transfers.get(row.StudyInstanceUID))}
							</div>
						))}
					</div>
				))}
				{props.children}
			</div>
		</div>
	);
}

function Head({ sort, onSort }: Pick<Props, "sort" | "onSort">) {
	const descending = sort.startsWith("-");
	const key = sort.replace("-", "");
	return (
		<div className="table-row head-row" role="row">
			{REMOTE_COLUMNS.map((column) => {
				const active = column.id === key;
				const Arrow = descending ? ArrowDown : ArrowUp;
				return (
					<div
						key={column.id}
						className="cell"
						role="columnheader"
						aria-sort={active ? (descending ? "descending" : "ascending") : "none"}
					>
						<button
							type="button"
							className="head-button"
							title={`Sort what is shown by ${column.title.toLowerCase()}`}
							onClick={() => onSort(active && !descending ? `-${key}` : column.id)}
						>
							<span>{column.title}</span>
							{active && <Arrow size={12} aria-hidden="true" />}
						</button>
					</div>
				);
			})}
		</div>
	);
}
