/** A structured report as a page, not a tree; the tree is one toggle away. */

import { Check, CircleDashed, Image, ListTree, ScrollText } from "lucide-react";
import { useState } from "react";
import type { Block, ContentItem, MeasurementRow, Reference, Report } from "../model/report";
import "./report.css";

export interface ReportPageProps {
	report: Report;
	/** Name, identifier, birth date with age, sex. */
	patient: readonly string[];
	/** `3/12`, or undefined when the image is not in this study. */
	describe: (reference: Reference) => string | undefined;
	open: (reference: Reference) => void;
}

type Opening = Pick<ReportPageProps, "describe" | "open">;

function Chips({ references, describe, open }: { references: readonly Reference[] } & Opening) {
	return references.map((reference) => {
		const where = describe(reference);
		const key = `${reference.sopInstanceUID}/${reference.frameNumber ?? ""}`;
		return (
			<button
				type="button"
				className="report-chip"
				key={key}
				disabled={where === undefined}
				title={where ? "Show this image" : "This image is not in the archive's copy of the study."}
				onClick={() => open(reference)}
			>
				<Image size={12} aria-hidden="true" />
				{where ?? "Image not here"}
			</button>
		);
	});
}

function Measurements({ rows, ...opening }: { rows: readonly MeasurementRow[] } & Opening) {
	const detailed = rows.some((row) => row.qualifiers.length > 0 || row.references.length > 0);
	return (
		<table className="report-table">
			<thead>
				<tr>
					<th scope="col">Measurement</th>
					<th scope="col" className="number">
						Value
					</th>
					<th scope="col">Unit</th>
					{detailed && <th scope="col">Details</th>}
				</tr>
			</thead>
			<tbody>
				{rows.map((row, index) => (
					// biome-ignore lint/suspicious/noArrayIndexKey: rows of a report never move
					<tr key={index}>
						<td>{row.name}</td>
						<td className="number">{row.value}</td>
						<td>{row.unit}</td>
						{detailed && (
							<td>
								<span className="report-qualifiers">{row.qualifiers.join(" · ")}</span>
								<Chips references={row.references} {...opening} />
							</td>
						)}
					</tr>
				))}
			</tbody>
		</table>
	);
}

function BlockView({ block, ...opening }: { block: Block } & Opening) {
	if (block.kind === "heading") {
		const Heading = `h${block.level}` as "h2" | "h3" | "h4";
		return <Heading>{block.text}</Heading>;
	}
	if (block.kind === "measurements") return <Measurements rows={block.rows} {...opening} />;
	if (block.kind === "references") {
		return (
			<div className="report-finding">
				{block.name && <span className="report-name">{block.name}</span>}
				<span>
					<Chips references={block.references} {...opening} />
				</span>
			</div>
		);
	}
	return (
		<div className="report-finding">
			{block.name && <span className="report-name">{block.name}</span>}
			<div>
				<p className="report-value">{block.value}</p>
				{block.qualifiers.length > 0 && (
					<p className="report-qualifiers">{block.qualifiers.join(" · ")}</p>
				)}
				<Chips references={block.references} {...opening} />
			</div>
		</div>
	);
}

function Tree({ item }: { item: ContentItem }) {
	return (
		<li>
			<span className="report-type">{item.type}</span> {item.name && <strong>{item.name}</strong>}{" "}
			{[item.value, item.unit].filter(Boolean).join(" ")}
			{item.children.length > 0 && (
				<ul>
					{item.children.map((child, index) => (
						// biome-ignore lint/suspicious/noArrayIndexKey: items of a report never move
						<Tree item={child} key={index} />
					))}
				</ul>
			)}
		</li>
	);
}

function Status({ good, children }: { good: boolean; children: string }) {
	return (
		<span className="report-status" data-good={good}>
			{good ? (
				<Check size={14} aria-hidden="true" />
			) : (
				<CircleDashed size={14} aria-hidden="true" />
			)}
			{children}
		</span>
	);
}

export function ReportPage({ report, patient, ...opening }: ReportPageProps) {
	const [asTree, setAsTree] = useState(false);
	return (
		<article className="report" aria-label={report.title}>
			<div className="report-sheet">
				<header>
					<p className="report-patient">{patient.filter(Boolean).join(" · ")}</p>
					<div className="report-title">
						<h1>{report.title}</h1>
						<button type="button" className="button" onClick={() => setAsTree(!asTree)}>
							{asTree ? <ScrollText size={16} /> : <ListTree size={16} />}
							{asTree ? "Show as page" : "Show as tree"}
						</button>
					</div>
					<p className="report-state">
						{report.stated && (
							<>
								<Status good={report.complete}>{report.completion}</Status>
								<Status good={report.verified}>
									{report.verified ? "Verified" : "Not verified"}
								</Status>
							</>
						)}
						{report.date && <span>{report.date}</span>}
					</p>
					{report.verification.map((line) => (
						<p className="report-qualifiers" key={line}>
							Verified by {line}
						</p>
					))}
					{report.context.length > 0 && (
						<dl className="report-context">
							{report.context.map(([name, value], index) => (
								// biome-ignore lint/suspicious/noArrayIndexKey: names may repeat
								<div key={index}>
									<dt>{name}</dt>
									<dd>{value}</dd>
								</div>
							))}
						</dl>
					)}
				</header>
				{asTree ? (
					<ul className="report-tree">
						<Tree item={report.tree} />
					</ul>
				) : (
					report.blocks.map((block, index) => (
						// biome-ignore lint/suspicious/noArrayIndexKey: blocks of a report never move
						<BlockView block={block} key={index} {...opening} />
					))
				)}
				{report.blocks.length === 0 && (
					<p className="report-qualifiers">This report has no content.</p>
				)}
			</div>
		</article>
	);
}
