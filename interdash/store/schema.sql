-- What the dashboard asks. Every column has its unit in its comment; nats are the unit of log-odds and of losses.
-- Facts are sorted by (run, network, epoch, sample, type, size, subset) as they are loaded; no index on facts.
-- The numbers are made by interdash/labelling/label.py from the parts; SQL only filters, groups, sums, averages and ranks.

CREATE TABLE meta (key VARCHAR, value VARCHAR);
COMMENT ON TABLE meta IS 'Version of this schema and of the interdash that wrote it.';

CREATE TABLE loaded (run VARCHAR, what VARCHAR, key VARCHAR);
COMMENT ON TABLE loaded IS 'Which label units these tables hold: the key goes into the same transaction as its rows.';
COMMENT ON COLUMN loaded.what IS 'network and epoch, or samples';
COMMENT ON COLUMN loaded.key IS 'hash of everything that decides the rows';

CREATE TABLE runs (
  run VARCHAR, purpose VARCHAR, dataset VARCHAR, architecture VARCHAR, kind VARCHAR, n_variables INTEGER,
  n_train INTEGER, n_test INTEGER, label_noise DOUBLE, class_names VARCHAR[], created VARCHAR, config VARCHAR);
COMMENT ON TABLE runs IS 'One row a run.';
COMMENT ON COLUMN runs.kind IS 'image, text or table';
COMMENT ON COLUMN runs.n_variables IS 'input variables, n';
COMMENT ON COLUMN runs.n_train IS 'samples of the training split';
COMMENT ON COLUMN runs.n_test IS 'samples of the testing split';
COMMENT ON COLUMN runs.label_noise IS 'share of training labels drawn at random';
COMMENT ON COLUMN runs.created IS 'UTC, ISO 8601';
COMMENT ON COLUMN runs.config IS 'the whole configuration, JSON';

CREATE TABLE metrics (
  run VARCHAR, network VARCHAR, epoch INTEGER, train_loss DOUBLE, test_loss DOUBLE,
  train_accuracy DOUBLE, test_accuracy DOUBLE);
COMMENT ON TABLE metrics IS 'Losses over the whole splits, one row a network and epoch, with or without a checkpoint.';
COMMENT ON COLUMN metrics.network IS 'target, baseline-0, baseline-1, …';
COMMENT ON COLUMN metrics.epoch IS '0 = untrained';
COMMENT ON COLUMN metrics.train_loss IS 'nats, mean cross-entropy on the training split of the target';
COMMENT ON COLUMN metrics.test_loss IS 'nats, mean cross-entropy on the testing split';
COMMENT ON COLUMN metrics.train_accuracy IS 'share';
COMMENT ON COLUMN metrics.test_accuracy IS 'share';

CREATE TABLE measures (
  run VARCHAR, network VARCHAR, epoch INTEGER, source VARCHAR, measure VARCHAR, value DOUBLE, low DOUBLE, high DOUBLE,
  unit VARCHAR);
COMMENT ON TABLE measures IS 'Numbers that are followed over the epochs: of the network, the user''s own among them, and of its interactions.';
COMMENT ON COLUMN measures.source IS 'network: recorded while it trained; gradients: their coherence; interactions: made with the labels';
COMMENT ON COLUMN measures.measure IS 'its name';
COMMENT ON COLUMN measures.value IS 'in the unit of its row; one number an epoch, of interactions the mean over the samples that have one';
COMMENT ON COLUMN measures.low IS 'in the same unit; of interactions the 2.5 % quantile of the bootstrap over samples of an epoch; null if there is none';
COMMENT ON COLUMN measures.high IS 'in the same unit; of interactions the 97.5 % quantile of an epoch';
COMMENT ON COLUMN measures.unit IS 'in words; empty if it has none';

CREATE TABLE sample_gradients (
  run VARCHAR, network VARCHAR, epoch INTEGER, sample INTEGER, coherence DOUBLE, norm DOUBLE, noisy BOOLEAN);
COMMENT ON TABLE sample_gradients IS 'The gradients of explained samples, 200 at most; made by `interdash measure RUN --coherence`.';
COMMENT ON COLUMN sample_gradients.coherence IS 'mean cosine of its gradient with those of the training samples, itself left out; no unit; null where it is 0';
COMMENT ON COLUMN sample_gradients.norm IS 'nats, norm of the gradient of its loss';
COMMENT ON COLUMN sample_gradients.noisy IS 'whether its label is noise; null if that is not known';

CREATE TABLE phases (
  run VARCHAR, boundary VARCHAR, epoch DOUBLE, low DOUBLE, high DOUBLE, found DOUBLE, moved_by_user BOOLEAN,
  reason VARCHAR);
COMMENT ON TABLE phases IS 'Boundaries of the three phases, by our rule (see interdash/formulas/phases.py) or as the user moved them.';
COMMENT ON COLUMN phases.boundary IS '1|2 or 2|3';
COMMENT ON COLUMN phases.epoch IS 'epoch of the boundary; null if there is none';
COMMENT ON COLUMN phases.low IS 'epoch, 2.5 % quantile of the bootstrap over samples and baselines; null unless found';
COMMENT ON COLUMN phases.high IS 'epoch, 97.5 % quantile of the bootstrap';
COMMENT ON COLUMN phases.found IS 'epoch by our rule, also where the user moved it; null if the evidence is missing';
COMMENT ON COLUMN phases.reason IS 'in words';

CREATE TABLE baseline_phases (
  run VARCHAR, baseline VARCHAR, boundary VARCHAR, epoch DOUBLE, low DOUBLE, high DOUBLE, reason VARCHAR);
COMMENT ON TABLE baseline_phases IS 'Boundaries by our rule with each baseline network alone; no rows with a single one.';
COMMENT ON COLUMN baseline_phases.baseline IS 'its name: baseline-0, baseline-1, …';
COMMENT ON COLUMN baseline_phases.boundary IS '1|2 or 2|3';
COMMENT ON COLUMN baseline_phases.epoch IS 'epoch of the boundary; null if the evidence is missing';
COMMENT ON COLUMN baseline_phases.low IS 'epoch, 2.5 % quantile of the bootstrap over samples; null unless found';
COMMENT ON COLUMN baseline_phases.high IS 'epoch, 97.5 % quantile of the bootstrap over samples';
COMMENT ON COLUMN baseline_phases.reason IS 'in words, why there is none; else null';

CREATE TABLE samples (
  run VARCHAR, sample INTEGER, split VARCHAR, row INTEGER, stratum INTEGER, label INTEGER, label_name VARCHAR,
  true_label INTEGER, true_label_name VARCHAR, names VARCHAR[], display VARCHAR, image BLOB, shape INTEGER[], assignment SMALLINT[]);
COMMENT ON TABLE samples IS 'The explained samples, the same for every network and epoch.';
COMMENT ON COLUMN samples.split IS 'train or test';
COMMENT ON COLUMN samples.row IS 'row in its split';
COMMENT ON COLUMN samples.stratum IS 'number of the equal part of its split, sorted by the final loss, that it was drawn from; 0 has the lowest losses; null if drawn at random';
COMMENT ON COLUMN samples.label IS 'class number in v; training split: the label trained on, noise included';
COMMENT ON COLUMN samples.true_label IS 'class number without the noise of the training labels: another than label where that is random; null if not known';
COMMENT ON COLUMN samples.names IS 'names of the n variables; the variable i is bit i of a subset';
COMMENT ON COLUMN samples.display IS 'JSON: words of a text, columns and values of a table row; null for images';
COMMENT ON COLUMN samples.image IS 'PNG of the input, in pixels as the network sees it; null unless an image';
COMMENT ON COLUMN samples.shape IS 'lengths of the axes that assignment runs over: height and width, tokens, or features';
COMMENT ON COLUMN samples.assignment IS 'the variable of each input element, row by row; -1 = always visible';

CREATE TABLE networks (
  run VARCHAR, network VARCHAR, epoch INTEGER, tau DOUBLE, samples INTEGER, baselines INTEGER, flips DOUBLE);
COMMENT ON TABLE networks IS 'One row for each network and epoch that is extracted and labelled.';
COMMENT ON COLUMN networks.tau IS 'nats, threshold of salience (mean over samples where each has its own)';
COMMENT ON COLUMN networks.samples IS 'explained samples';
COMMENT ON COLUMN networks.baselines IS 'baseline networks that G was asked of; 0 for the baselines themselves';
COMMENT ON COLUMN networks.flips IS 'share of salient interactions that transfer to one of the first two baselines alone; null with one';

CREATE TABLE units (
  run VARCHAR, network VARCHAR, epoch INTEGER, first INTEGER, stop INTEGER, name VARCHAR, seconds DOUBLE,
  solved DOUBLE, worst_gap DOUBLE, worst_residual DOUBLE);
COMMENT ON TABLE units IS 'The units of work behind the rows, and their certificates.';
COMMENT ON COLUMN units.first IS 'first explained sample';
COMMENT ON COLUMN units.stop IS 'one after the last explained sample';
COMMENT ON COLUMN units.name IS 'file name of the part, without .parquet';
COMMENT ON COLUMN units.seconds IS 'seconds of computing';
COMMENT ON COLUMN units.solved IS 'share of samples the solver calls solved';
COMMENT ON COLUMN units.worst_gap IS 'share, largest certified gap of its samples';
COMMENT ON COLUMN units.worst_residual IS 'nats, largest error of universal matching';

CREATE TABLE sample_epochs (
  run VARCHAR, network VARCHAR, epoch INTEGER, sample INTEGER, predicted INTEGER, correct BOOLEAN,
  v_empty DOUBLE, v_full DOUBLE, loss DOUBLE, tau DOUBLE, strength DOUBLE, salient_strength DOUBLE,
  generalizable DOUBLE, non_generalizable DOUBLE, generalizable_effect DOUBLE, non_generalizable_effect DOUBLE,
  net_effect DOUBLE, high_order DOUBLE, salient INTEGER, generalizable_count DOUBLE, highest_order INTEGER,
  objective DOUBLE, lower_bound DOUBLE, gap DOUBLE, solved BOOLEAN, residual DOUBLE, noise DOUBLE);
COMMENT ON TABLE sample_epochs IS 'One row for each network, epoch and sample. Columns on G are means over the baseline networks, null for these.';
COMMENT ON COLUMN sample_epochs.predicted IS 'class with the highest logit';
COMMENT ON COLUMN sample_epochs.correct IS 'predicted = label';
COMMENT ON COLUMN sample_epochs.v_empty IS 'nats, v with every variable masked';
COMMENT ON COLUMN sample_epochs.v_full IS 'nats, v of the sample itself';
COMMENT ON COLUMN sample_epochs.loss IS 'nats, cross-entropy log(1 + exp(-v_full))';
COMMENT ON COLUMN sample_epochs.tau IS 'nats, threshold of salience';
COMMENT ON COLUMN sample_epochs.strength IS 'nats, sum of |I| over all AND and OR interactions';
COMMENT ON COLUMN sample_epochs.salient_strength IS 'nats, sum of |I| over salient interactions';
COMMENT ON COLUMN sample_epochs.generalizable IS 'nats, sum of |I| over salient interactions that transfer';
COMMENT ON COLUMN sample_epochs.non_generalizable IS 'nats, sum of |I| over those that do not';
COMMENT ON COLUMN sample_epochs.generalizable_effect IS 'nats, signed sum over salient interactions that transfer';
COMMENT ON COLUMN sample_epochs.non_generalizable_effect IS 'nats, signed sum over those that do not';
COMMENT ON COLUMN sample_epochs.net_effect IS 'nats, signed sum over salient interactions';
COMMENT ON COLUMN sample_epochs.high_order IS 'nats, sum of |I| over salient interactions of more than half of the variables';
COMMENT ON COLUMN sample_epochs.salient IS 'number of salient interactions';
COMMENT ON COLUMN sample_epochs.generalizable_count IS 'number of salient interactions that transfer';
COMMENT ON COLUMN sample_epochs.highest_order IS 'order of the largest salient interaction; 0 if there is none';
COMMENT ON COLUMN sample_epochs.objective IS 'nats, objective that the sparse split reached';
COMMENT ON COLUMN sample_epochs.lower_bound IS 'nats, no split has an objective below it';
COMMENT ON COLUMN sample_epochs.gap IS 'share, certified distance from the optimum';
COMMENT ON COLUMN sample_epochs.residual IS 'nats, largest error of universal matching over all subsets';
COMMENT ON COLUMN sample_epochs.noise IS 'nats, largest |delta| over all subsets';

CREATE TABLE interactions (
  run VARCHAR, network VARCHAR, epoch INTEGER, sample INTEGER, type VARCHAR, subset INTEGER, size TINYINT,
  rank INTEGER, effect FLOAT, baseline_effect FLOAT, transfers INTEGER, votes TINYINT, generalizes BOOLEAN, chance FLOAT);
COMMENT ON TABLE interactions IS 'The salient interactions; all others are in the parts.';
COMMENT ON COLUMN interactions.type IS 'and, or';
COMMENT ON COLUMN interactions.subset IS 'bitmask, bit i = variable i';
COMMENT ON COLUMN interactions.size IS 'order: number of variables';
COMMENT ON COLUMN interactions.rank IS '1 = strongest of its sample, network and epoch';
COMMENT ON COLUMN interactions.effect IS 'nats, signed';
COMMENT ON COLUMN interactions.baseline_effect IS 'nats, signed: the same interaction in baseline-0, salient there or not';
COMMENT ON COLUMN interactions.transfers IS 'bitmask: to which baselines it transfers; bit i = the i-th of those in baseline_strengths';
COMMENT ON COLUMN interactions.votes IS 'number of baselines that it transfers to, of networks.baselines';
COMMENT ON COLUMN interactions.generalizes IS 'G by the vote of the run: it transfers to more than half of the baselines, or to any';
COMMENT ON COLUMN interactions.chance IS 'share, 0 to 1: c, the chance that it transfers, mean over baselines (see interdash/formulas/chance.py)';

CREATE TABLE sample_orders (
  run VARCHAR, network VARCHAR, epoch INTEGER, sample INTEGER, type VARCHAR, size TINYINT,
  positive FLOAT, negative FLOAT, generalizable_positive FLOAT, generalizable_negative FLOAT,
  non_generalizable_positive FLOAT, non_generalizable_negative FLOAT, salient INTEGER, generalizable_count FLOAT,
  by_chance FLOAT);
COMMENT ON TABLE sample_orders IS 'Sums over the salient interactions of one sample, those on G as means over baselines; rows without any are left out.';
COMMENT ON COLUMN sample_orders.type IS 'and, or';
COMMENT ON COLUMN sample_orders.size IS 'order';
COMMENT ON COLUMN sample_orders.positive IS 'nats, sum of positive effects';
COMMENT ON COLUMN sample_orders.negative IS 'nats, sum of negative effects (≤ 0)';
COMMENT ON COLUMN sample_orders.generalizable_positive IS 'nats';
COMMENT ON COLUMN sample_orders.generalizable_negative IS 'nats (≤ 0)';
COMMENT ON COLUMN sample_orders.non_generalizable_positive IS 'nats';
COMMENT ON COLUMN sample_orders.non_generalizable_negative IS 'nats (≤ 0)';
COMMENT ON COLUMN sample_orders.salient IS 'number of salient interactions';
COMMENT ON COLUMN sample_orders.generalizable_count IS 'number of salient interactions that transfer';
COMMENT ON COLUMN sample_orders.by_chance IS 'nats, Σ|I|·c: what would transfer by chance';

CREATE TABLE order_strengths (
  run VARCHAR, network VARCHAR, epoch INTEGER, split VARCHAR, label INTEGER, type VARCHAR, size TINYINT,
  positive DOUBLE, negative DOUBLE, generalizable_positive DOUBLE, generalizable_negative DOUBLE,
  non_generalizable_positive DOUBLE, non_generalizable_negative DOUBLE, strength DOUBLE, generalizable DOUBLE,
  non_generalizable DOUBLE, generalization_power DOUBLE, salient DOUBLE, generalizable_count DOUBLE,
  by_chance DOUBLE, chance DOUBLE, above_chance DOUBLE);
COMMENT ON TABLE order_strengths IS 'Means over samples of the sums in sample_orders, for every split, class and type.';
COMMENT ON COLUMN order_strengths.split IS 'train, test, or all: both; clean, random: training samples whose label is the true one or another, where known';
COMMENT ON COLUMN order_strengths.label IS 'class number; -1 = all classes';
COMMENT ON COLUMN order_strengths.type IS 'and, or, or all: both';
COMMENT ON COLUMN order_strengths.size IS 'order, 1 to n';
COMMENT ON COLUMN order_strengths.positive IS 'nats, mean over samples';
COMMENT ON COLUMN order_strengths.negative IS 'nats (≤ 0), mean over samples';
COMMENT ON COLUMN order_strengths.generalizable_positive IS 'nats, mean over samples';
COMMENT ON COLUMN order_strengths.generalizable_negative IS 'nats (≤ 0), mean over samples';
COMMENT ON COLUMN order_strengths.non_generalizable_positive IS 'nats, mean over samples';
COMMENT ON COLUMN order_strengths.non_generalizable_negative IS 'nats (≤ 0), mean over samples';
COMMENT ON COLUMN order_strengths.strength IS 'nats, mean over samples of Σ|I| over salient interactions of this order';
COMMENT ON COLUMN order_strengths.generalizable IS 'nats, the part of strength that transfers, mean over baselines';
COMMENT ON COLUMN order_strengths.non_generalizable IS 'nats, the other part';
COMMENT ON COLUMN order_strengths.generalization_power IS 'share H = generalizable / strength; null without salient interactions';
COMMENT ON COLUMN order_strengths.salient IS 'salient interactions a sample';
COMMENT ON COLUMN order_strengths.generalizable_count IS 'salient interactions that transfer, a sample, mean over baselines';
COMMENT ON COLUMN order_strengths.by_chance IS 'nats, the part of strength that would transfer by chance, Σ|I|·c, mean over baselines';
COMMENT ON COLUMN order_strengths.chance IS 'share, H by chance = by_chance / strength';
COMMENT ON COLUMN order_strengths.above_chance IS 'share, (H - chance) / (1 - chance): 1 if all generalizes, 0 at chance, below 0 under it';

CREATE TABLE strengths (
  run VARCHAR, network VARCHAR, epoch INTEGER, split VARCHAR, label INTEGER, type VARCHAR, samples INTEGER,
  strength DOUBLE, strength_low DOUBLE, strength_high DOUBLE,
  generalizable DOUBLE, generalizable_low DOUBLE, generalizable_high DOUBLE,
  non_generalizable DOUBLE, non_generalizable_low DOUBLE, non_generalizable_high DOUBLE,
  generalization_power DOUBLE, generalization_power_low DOUBLE, generalization_power_high DOUBLE,
  count_power DOUBLE, salient DOUBLE, generalizable_count DOUBLE,
  by_chance DOUBLE, chance DOUBLE, above_chance DOUBLE,
  chance_low DOUBLE, chance_high DOUBLE, above_chance_low DOUBLE, above_chance_high DOUBLE);
COMMENT ON TABLE strengths IS 'Totals over all orders with 95 % bootstrap intervals over samples and baselines, for every split, class and type.';
COMMENT ON COLUMN strengths.split IS 'train, test, or all: both; clean, random: training samples whose label is the true one or another, where known';
COMMENT ON COLUMN strengths.label IS 'class number; -1 = all classes';
COMMENT ON COLUMN strengths.type IS 'and, or, or all: both';
COMMENT ON COLUMN strengths.samples IS 'number of samples in the mean';
COMMENT ON COLUMN strengths.strength IS 'nats, mean over samples of Σ|I| over salient interactions';
COMMENT ON COLUMN strengths.strength_low IS 'nats, 2.5 % quantile';
COMMENT ON COLUMN strengths.strength_high IS 'nats, 97.5 % quantile';
COMMENT ON COLUMN strengths.generalizable IS 'nats, the part of strength that transfers, mean over baselines';
COMMENT ON COLUMN strengths.generalizable_low IS 'nats, 2.5 % quantile';
COMMENT ON COLUMN strengths.generalizable_high IS 'nats, 97.5 % quantile';
COMMENT ON COLUMN strengths.non_generalizable IS 'nats, the other part';
COMMENT ON COLUMN strengths.non_generalizable_low IS 'nats, 2.5 % quantile';
COMMENT ON COLUMN strengths.non_generalizable_high IS 'nats, 97.5 % quantile';
COMMENT ON COLUMN strengths.generalization_power IS 'share H = generalizable / strength';
COMMENT ON COLUMN strengths.generalization_power_low IS 'share, 2.5 % quantile';
COMMENT ON COLUMN strengths.generalization_power_high IS 'share, 97.5 % quantile';
COMMENT ON COLUMN strengths.count_power IS 'share of the salient interactions that transfer, by number, mean over baselines';
COMMENT ON COLUMN strengths.salient IS 'salient interactions a sample';
COMMENT ON COLUMN strengths.generalizable_count IS 'salient interactions that transfer, a sample, mean over baselines';
COMMENT ON COLUMN strengths.by_chance IS 'nats, the part of strength that would transfer by chance, Σ|I|·c, mean over baselines';
COMMENT ON COLUMN strengths.chance IS 'share, H by chance = by_chance / strength';
COMMENT ON COLUMN strengths.above_chance IS 'share, (H - chance) / (1 - chance): 1 if all generalizes, 0 at chance, below 0 under it';
COMMENT ON COLUMN strengths.chance_low IS 'share, 2.5 % quantile, the resamples of H';
COMMENT ON COLUMN strengths.chance_high IS 'share, 97.5 % quantile';
COMMENT ON COLUMN strengths.above_chance_low IS 'share, 2.5 % quantile, the resamples of H';
COMMENT ON COLUMN strengths.above_chance_high IS 'share, 97.5 % quantile';

CREATE TABLE baseline_strengths (
  run VARCHAR, network VARCHAR, epoch INTEGER, baseline VARCHAR, split VARCHAR, label INTEGER, type VARCHAR,
  generalizable DOUBLE, generalization_power DOUBLE, by_chance DOUBLE, chance DOUBLE, above_chance DOUBLE);
COMMENT ON TABLE baseline_strengths IS 'What strengths has as means over the baseline networks, by each of them alone.';
COMMENT ON COLUMN baseline_strengths.baseline IS 'its name: baseline-0, baseline-1, …';
COMMENT ON COLUMN baseline_strengths.split IS 'train, test, or all: both; clean, random: training samples whose label is the true one or another, where known';
COMMENT ON COLUMN baseline_strengths.label IS 'class number; -1 = all classes';
COMMENT ON COLUMN baseline_strengths.type IS 'and, or, or all: both';
COMMENT ON COLUMN baseline_strengths.generalizable IS 'nats, mean over samples of Σ|I| over salient interactions that transfer to it';
COMMENT ON COLUMN baseline_strengths.generalization_power IS 'share H = generalizable / strengths.strength';
COMMENT ON COLUMN baseline_strengths.by_chance IS 'nats, the part of strength that would transfer by chance, Σ|I|·c';
COMMENT ON COLUMN baseline_strengths.chance IS 'share, H by chance';
COMMENT ON COLUMN baseline_strengths.above_chance IS 'share, (H - chance) / (1 - chance)';

CREATE TABLE flows (
  run VARCHAR, epoch_from INTEGER, epoch_to INTEGER, sample INTEGER, type VARCHAR,
  learned FLOAT, learned_generalizable FLOAT, learned_by_chance FLOAT,
  removed FLOAT, removed_generalizable FLOAT, removed_by_chance FLOAT, learned_size FLOAT, removed_size FLOAT);
COMMENT ON TABLE flows IS 'What the target learned and removed between two recorded epochs, by sample; see interdash/formulas/flows.py.';
COMMENT ON COLUMN flows.epoch_from IS 'recorded epoch';
COMMENT ON COLUMN flows.epoch_to IS 'the next recorded epoch';
COMMENT ON COLUMN flows.type IS 'and, or';
COMMENT ON COLUMN flows.learned IS 'nats, by how much the interactions that are salient afterwards grew; all of one whose sign changed';
COMMENT ON COLUMN flows.learned_generalizable IS 'nats, the part of learned that transfers at epoch_to, mean over baselines';
COMMENT ON COLUMN flows.learned_by_chance IS 'nats, the part of learned that would transfer by chance, mean over baselines';
COMMENT ON COLUMN flows.removed IS 'nats, by how much the interactions that were salient before shrank; all of one whose sign changed';
COMMENT ON COLUMN flows.removed_generalizable IS 'nats, the part of removed that transferred at epoch_from, mean over baselines';
COMMENT ON COLUMN flows.removed_by_chance IS 'nats, the part of removed that would transfer by chance, mean over baselines';
COMMENT ON COLUMN flows.learned_size IS 'nats times order: divided by learned, the mean order of what is learned';
COMMENT ON COLUMN flows.removed_size IS 'nats times order: divided by removed, the mean order of what is removed';

CREATE TABLE predictions (
  run VARCHAR, epoch INTEGER, tie_break VARCHAR, samples INTEGER, sigma2 DOUBLE, sigma2_low DOUBLE, sigma2_high DOUBLE,
  peaks DOUBLE, r2 DOUBLE, r2_last DOUBLE, r2_spindle DOUBLE);
COMMENT ON TABLE predictions IS 'How the theory of noise fits the distribution over orders of an epoch; see interdash/formulas/prediction.py.';
COMMENT ON COLUMN predictions.tie_break IS 'own, or opposite: the split solved anew, of fewer samples and epochs';
COMMENT ON COLUMN predictions.samples IS 'number of samples in the means';
COMMENT ON COLUMN predictions.sigma2 IS 'variance σ² of the noise with the least squared error of the normalised profile, no unit';
COMMENT ON COLUMN predictions.sigma2_low IS 'σ², 2.5 % quantile of the bootstrap over samples';
COMMENT ON COLUMN predictions.sigma2_high IS 'σ², 97.5 % quantile';
COMMENT ON COLUMN predictions.peaks IS 'share of the resamples whose σ² is highest at this epoch, the last one left out';
COMMENT ON COLUMN predictions.r2 IS 'share of the variance over orders that the predicted profile explains';
COMMENT ON COLUMN predictions.r2_last IS 'share that the profile of the last epoch explains, without the theory';
COMMENT ON COLUMN predictions.r2_spindle IS 'share that the spindle of random outputs explains';

CREATE TABLE predicted_orders (
  run VARCHAR, epoch INTEGER, type VARCHAR, size TINYINT, measured DOUBLE, predicted DOUBLE);
COMMENT ON TABLE predicted_orders IS 'The profiles behind predictions, by the own tie-break.';
COMMENT ON COLUMN predicted_orders.type IS 'and, or, or all: both';
COMMENT ON COLUMN predicted_orders.size IS 'order, 1 to n';
COMMENT ON COLUMN predicted_orders.measured IS 'strength divided by its mean over orders, sums to n; null without any';
COMMENT ON COLUMN predicted_orders.predicted IS 'the same of the predicted interactions, by the σ² of the epoch';

CREATE TABLE layers (
  run VARCHAR, epoch INTEGER, layer SMALLINT, name VARCHAR, control BOOLEAN, features INTEGER, samples INTEGER,
  accuracy DOUBLE, loss DOUBLE, information DOUBLE, information_low DOUBLE, information_high DOUBLE, scale DOUBLE);
COMMENT ON TABLE layers IS 'Probes on the layers of the target, and the network itself as its last layer; made by `interdash measure RUN --layers`.';
COMMENT ON COLUMN layers.layer IS 'number in the order in which they run, from 0; the highest is the network itself';
COMMENT ON COLUMN layers.name IS 'of the module; network: the network itself';
COMMENT ON COLUMN layers.control IS 'whether the probe was fitted to shuffled labels';
COMMENT ON COLUMN layers.features IS 'number of features of the probe; null for the network';
COMMENT ON COLUMN layers.samples IS 'training samples that the probe was fitted to, none of them explained; null for the network';
COMMENT ON COLUMN layers.accuracy IS 'share of testing samples';
COMMENT ON COLUMN layers.loss IS 'nats, mean cross-entropy on testing samples';
COMMENT ON COLUMN layers.information IS 'nats, V-information: entropy of the testing labels minus loss; below 0 where the probe is confident and wrong';
COMMENT ON COLUMN layers.information_low IS 'nats, 2.5 % quantile of the bootstrap over testing samples';
COMMENT ON COLUMN layers.information_high IS 'nats, 97.5 % quantile';
COMMENT ON COLUMN layers.scale IS 'nats, mean over explained samples of |v(x) - v(x_empty)| of this layer: the unit of layer_orders';

CREATE TABLE layer_orders (
  run VARCHAR, epoch INTEGER, layer SMALLINT, control BOOLEAN, sample INTEGER, type VARCHAR, size TINYINT,
  overlap FLOAT, forgotten FLOAT, new FLOAT, overlap_by_chance FLOAT, generalizable FLOAT, by_chance FLOAT);
COMMENT ON TABLE layer_orders IS 'What the interactions of a layer share with those of the network, by sample, type and order, in units of layers.scale of each side; see interdash/formulas/theories/layers.py.';
COMMENT ON COLUMN layer_orders.layer IS 'number, see layers';
COMMENT ON COLUMN layer_orders.control IS 'whether of the probe that was fitted to shuffled labels';
COMMENT ON COLUMN layer_orders.sample IS 'number of the explained sample';
COMMENT ON COLUMN layer_orders.type IS 'and, or';
COMMENT ON COLUMN layer_orders.size IS 'order';
COMMENT ON COLUMN layer_orders.overlap IS 'share of scale, strength of what is salient in both, with the same sign: the smaller of the two';
COMMENT ON COLUMN layer_orders.forgotten IS 'share of scale, strength of the layer beyond overlap';
COMMENT ON COLUMN layer_orders.new IS 'share of scale, strength of the network beyond overlap';
COMMENT ON COLUMN layer_orders.overlap_by_chance IS 'share of scale, overlap if the layer''s interactions of each order were any others';
COMMENT ON COLUMN layer_orders.generalizable IS 'share of scale, the part of the layer''s strength that transfers to the baseline networks, mean over them';
COMMENT ON COLUMN layer_orders.by_chance IS 'share of scale, the part that would transfer by chance, mean over baselines';

CREATE TABLE information (
  run VARCHAR, epoch INTEGER, split VARCHAR, samples INTEGER, joint DOUBLE, single DOUBLE, rest DOUBLE, synergy DOUBLE,
  synergy_low DOUBLE, synergy_high DOUBLE, floor DOUBLE, floor_low DOUBLE, floor_high DOUBLE);
COMMENT ON TABLE information IS 'What the answers of the target say of the class, from some variables only (experimental); made by `interdash measure RUN --information`; see interdash/formulas/theories/information.py.';
COMMENT ON COLUMN information.split IS 'train or test';
COMMENT ON COLUMN information.samples IS 'number of samples';
COMMENT ON COLUMN information.joint IS 'nats, mutual information of class and answer from all variables';
COMMENT ON COLUMN information.single IS 'nats, the same from one variable, mean over variables';
COMMENT ON COLUMN information.rest IS 'nats, the same from all but one, mean over variables';
COMMENT ON COLUMN information.synergy IS 'nats, joint - single - rest';
COMMENT ON COLUMN information.synergy_low IS 'nats, low end of the 95 % interval over samples';
COMMENT ON COLUMN information.synergy_high IS 'nats, high end';
COMMENT ON COLUMN information.floor IS 'nats, synergy with permuted labels, mean of 20';
COMMENT ON COLUMN information.floor_low IS 'nats, the lowest of them';
COMMENT ON COLUMN information.floor_high IS 'nats, the highest of them';

CREATE TABLE baseline_flows (
  run VARCHAR, baseline VARCHAR, epoch_from INTEGER, epoch_to INTEGER, sample INTEGER, type VARCHAR,
  learned_generalizable FLOAT, learned_by_chance FLOAT, removed_generalizable FLOAT, removed_by_chance FLOAT);
COMMENT ON TABLE baseline_flows IS 'What flows has as means over the baseline networks, by each of them alone; no rows with a single one.';
COMMENT ON COLUMN baseline_flows.baseline IS 'its name: baseline-0, baseline-1, …';
COMMENT ON COLUMN baseline_flows.epoch_from IS 'recorded epoch';
COMMENT ON COLUMN baseline_flows.epoch_to IS 'the next recorded epoch';
COMMENT ON COLUMN baseline_flows.type IS 'and, or';
COMMENT ON COLUMN baseline_flows.learned_generalizable IS 'nats, the part of learned that transfers to it at epoch_to';
COMMENT ON COLUMN baseline_flows.learned_by_chance IS 'nats, the part of learned that would transfer by chance';
COMMENT ON COLUMN baseline_flows.removed_generalizable IS 'nats, the part of removed that transferred to it at epoch_from';
COMMENT ON COLUMN baseline_flows.removed_by_chance IS 'nats, the part of removed that would transfer by chance';

CREATE TABLE removals (
  run VARCHAR, network VARCHAR, epoch INTEGER, removed VARCHAR, split VARCHAR, min_order TINYINT, dose TINYINT,
  before DOUBLE, after DOUBLE, after_low DOUBLE, after_high DOUBLE, change DOUBLE, change_low DOUBLE, change_high DOUBLE,
  excess DOUBLE, excess_low DOUBLE, excess_high DOUBLE, draws_low DOUBLE, draws_high DOUBLE, strength DOUBLE);
COMMENT ON TABLE removals IS 'Mean loss of the explained samples after removing interactions; _low and _high: 95 % bootstrap over samples.';
COMMENT ON COLUMN removals.removed IS 'non_generalizable (G = 0 by the vote), or a control of the same strength: random (20 draws), generalizable (20 draws)';
COMMENT ON COLUMN removals.split IS 'train, test, or gap: testing minus training loss';
COMMENT ON COLUMN removals.min_order IS 'only interactions of this order or above are removed';
COMMENT ON COLUMN removals.dose IS 'percent of the strength of the non-generalizable ones (of these orders) of each sample, strongest first';
COMMENT ON COLUMN removals.before IS 'nats, nothing removed';
COMMENT ON COLUMN removals.after IS 'nats, mean over the draws';
COMMENT ON COLUMN removals.after_low IS 'nats, 2.5 % quantile';
COMMENT ON COLUMN removals.after_high IS 'nats, 97.5 % quantile';
COMMENT ON COLUMN removals.change IS 'nats, after - before';
COMMENT ON COLUMN removals.change_low IS 'nats, 2.5 % quantile, before and after paired by sample';
COMMENT ON COLUMN removals.change_high IS 'nats, 97.5 % quantile, paired by sample';
COMMENT ON COLUMN removals.excess IS 'nats, change by the non-generalizable ones minus change by this control';
COMMENT ON COLUMN removals.excess_low IS 'nats, 2.5 % quantile, paired by sample';
COMMENT ON COLUMN removals.excess_high IS 'nats, 97.5 % quantile, paired by sample';
COMMENT ON COLUMN removals.draws_low IS 'nats, 2.5 % quantile of after over the draws; null without draws';
COMMENT ON COLUMN removals.draws_high IS 'nats, 97.5 % quantile of after over the draws';
COMMENT ON COLUMN removals.strength IS 'nats removed a sample, mean; below the dose where a sample has no more generalizable ones';

CREATE TABLE sample_removals (
  run VARCHAR, network VARCHAR, epoch INTEGER, sample INTEGER, min_order TINYINT, dose TINYINT,
  after DOUBLE, random_after DOUBLE, strength FLOAT);
COMMENT ON TABLE sample_removals IS 'Loss of one sample after removing its non-generalizable interactions; before: sample_epochs.loss.';
COMMENT ON COLUMN sample_removals.min_order IS 'only interactions of this order or above are removed';
COMMENT ON COLUMN sample_removals.dose IS '100: percent of the strength of the non-generalizable ones';
COMMENT ON COLUMN sample_removals.after IS 'nats';
COMMENT ON COLUMN sample_removals.random_after IS 'nats, after a random removal of the same strength, mean over 20 draws';
COMMENT ON COLUMN sample_removals.strength IS 'nats removed';

CREATE TABLE robustness (
  run VARCHAR, epoch INTEGER, comparison VARCHAR, reference VARCHAR, alternative VARCHAR, samples INTEGER,
  labels DOUBLE, overlap DOUBLE, overlap_low DOUBLE, overlap_high DOUBLE, flips DOUBLE, flips_low DOUBLE, flips_high DOUBLE,
  power DOUBLE, power_low DOUBLE, power_high DOUBLE, other_power DOUBLE, other_power_low DOUBLE, other_power_high DOUBLE);
COMMENT ON TABLE robustness IS 'Noise floor: labels G of the target under another choice; made by `interdash robustness RUN`.';
COMMENT ON COLUMN robustness.comparison IS 'baseline, votes, kappa, tie_break, tau, sign_test, joint or solver';
COMMENT ON COLUMN robustness.reference IS 'in words, one choice; the run''s own but for two baselines';
COMMENT ON COLUMN robustness.alternative IS 'in words, the other choice';
COMMENT ON COLUMN robustness.samples IS 'explained samples compared';
COMMENT ON COLUMN robustness.labels IS 'interactions a sample that are salient under both choices';
COMMENT ON COLUMN robustness.overlap IS 'share of the interactions salient under either choice that are salient under both';
COMMENT ON COLUMN robustness.overlap_low IS 'share, 2.5 % quantile of the bootstrap over samples';
COMMENT ON COLUMN robustness.overlap_high IS 'share, 97.5 % quantile';
COMMENT ON COLUMN robustness.flips IS 'share of those salient under both whose G differs; null without any';
COMMENT ON COLUMN robustness.flips_low IS 'share, 2.5 % quantile';
COMMENT ON COLUMN robustness.flips_high IS 'share, 97.5 % quantile';
COMMENT ON COLUMN robustness.power IS 'share H of these samples under the reference';
COMMENT ON COLUMN robustness.power_low IS 'share, 2.5 % quantile';
COMMENT ON COLUMN robustness.power_high IS 'share, 97.5 % quantile';
COMMENT ON COLUMN robustness.other_power IS 'share H of these samples under the alternative';
COMMENT ON COLUMN robustness.other_power_low IS 'share, 2.5 % quantile';
COMMENT ON COLUMN robustness.other_power_high IS 'share, 97.5 % quantile';

CREATE TABLE order_similarities (
  run VARCHAR, network VARCHAR, epoch INTEGER, size TINYINT, similarity DOUBLE, reference DOUBLE,
  reference_low DOUBLE, reference_high DOUBLE);
COMMENT ON TABLE order_similarities IS 'How alike training and testing samples are, by order; no rows for texts, whose variables differ.';
COMMENT ON COLUMN order_similarities.size IS 'order';
COMMENT ON COLUMN order_similarities.similarity IS 'share, weighted Jaccard index of mean interactions of training and of testing samples';
COMMENT ON COLUMN order_similarities.reference IS 'share, the same between random groups of all samples, mean of 200 partitions';
COMMENT ON COLUMN order_similarities.reference_low IS 'share, 2.5 % quantile of the partitions';
COMMENT ON COLUMN order_similarities.reference_high IS 'share, 97.5 % quantile of the partitions';

CREATE TABLE order_fits (
  run VARCHAR, network VARCHAR, epoch INTEGER, part VARCHAR, shape VARCHAR,
  alpha DOUBLE, alpha_low DOUBLE, alpha_high DOUBLE, distance DOUBLE, distance_low DOUBLE, distance_high DOUBLE);
COMMENT ON TABLE order_fits IS 'Profiles over orders fitted to the mean strengths, with 95 % bootstrap intervals over samples.';
COMMENT ON COLUMN order_fits.part IS 'generalizable or non_generalizable';
COMMENT ON COLUMN order_fits.shape IS 'decay: share of order k as alpha^k; spindle: as C(n, k) alpha^k';
COMMENT ON COLUMN order_fits.alpha IS 'parameter α of the shares in the best fit, no unit; null without any strength';
COMMENT ON COLUMN order_fits.alpha_low IS 'α of the shares, 2.5 % quantile';
COMMENT ON COLUMN order_fits.alpha_high IS 'α of the shares, 97.5 % quantile';
COMMENT ON COLUMN order_fits.distance IS 'share, half the sum of |share - profile| over orders; 0 = the same shape';
COMMENT ON COLUMN order_fits.distance_low IS 'share, 2.5 % quantile';
COMMENT ON COLUMN order_fits.distance_high IS 'share, 97.5 % quantile';

CREATE TABLE lives (
  run VARCHAR, sample INTEGER, type VARCHAR, subset INTEGER, size TINYINT, life_line VARCHAR, born INTEGER, gone INTEGER,
  stretches INTEGER, flips INTEGER);
COMMENT ON TABLE lives IS 'Every interaction of the target that is ever present: salient, until it falls below τ/2 or changes its sign; see interdash/formulas/life_cycle.py.';
COMMENT ON COLUMN lives.type IS 'and, or';
COMMENT ON COLUMN lives.subset IS 'bitmask, bit i = variable i';
COMMENT ON COLUMN lives.size IS 'order';
COMMENT ON COLUMN lives.life_line IS 'reliable, forgotten, withdrawn, betraying or fluctuating: see interdash/formulas/life_cycle.py';
COMMENT ON COLUMN lives.born IS 'epoch, the first recorded one at which it is present';
COMMENT ON COLUMN lives.gone IS 'epoch, the first recorded one after the last at which it is present; null if that is the last one';
COMMENT ON COLUMN lives.stretches IS 'how often it came, once or more';
COMMENT ON COLUMN lives.flips IS 'how often it was present with the other sign than when it was present last';

CREATE TABLE patterns (
  run VARCHAR, pattern INTEGER, epoch INTEGER, sample INTEGER, type VARCHAR, subset INTEGER, effect FLOAT, share FLOAT,
  chance FLOAT);
COMMENT ON TABLE patterns IS 'The salient interactions of the target at every epoch once more, those of the same variables side by side.';
COMMENT ON COLUMN patterns.pattern IS 'number of the type and the variables, words or order that they share: see interdash/formulas/subsets.py';
COMMENT ON COLUMN patterns.epoch IS 'recorded epoch';
COMMENT ON COLUMN patterns.type IS 'and, or';
COMMENT ON COLUMN patterns.subset IS 'bitmask, bit i = variable i of its sample';
COMMENT ON COLUMN patterns.effect IS 'nats, signed';
COMMENT ON COLUMN patterns.share IS 'share of the baselines that it transfers to; null before there are any';
COMMENT ON COLUMN patterns.chance IS 'share, 0 to 1: c, the chance that it transfers, mean over baselines';

CREATE TABLE life_sums (
  run VARCHAR, start INTEGER, epoch INTEGER, life VARCHAR, sample INTEGER, number FLOAT, strength FLOAT, size FLOAT,
  generalizable_number FLOAT, generalizable FLOAT, by_chance_number FLOAT, by_chance FLOAT, net FLOAT, loss FLOAT);
COMMENT ON TABLE life_sums IS 'Sums over the salient interactions of one sample of the target that were preserved, emerged or removed since a start epoch, or have one life line.';
COMMENT ON COLUMN life_sums.start IS 'recorded epoch; -1: by life line, over all epochs';
COMMENT ON COLUMN life_sums.epoch IS 'recorded epoch; -1: each interaction as at the epoch at which it is strongest';
COMMENT ON COLUMN life_sums.life IS 'preserved: present ever since start; emerged: present, but not ever since; removed: present at start and not at epoch, as it was at start; or a life line';
COMMENT ON COLUMN life_sums.number IS 'number of salient interactions';
COMMENT ON COLUMN life_sums.strength IS 'nats, Σ|I|';
COMMENT ON COLUMN life_sums.size IS 'nats times order: divided by strength, the mean order';
COMMENT ON COLUMN life_sums.generalizable_number IS 'number of salient interactions that transfer, mean over baselines';
COMMENT ON COLUMN life_sums.generalizable IS 'nats, the part of strength that transfers, mean over baselines';
COMMENT ON COLUMN life_sums.by_chance_number IS 'number of salient interactions that would transfer by chance, mean over baselines';
COMMENT ON COLUMN life_sums.by_chance IS 'nats, the part of strength that would transfer by chance, mean over baselines';
COMMENT ON COLUMN life_sums.net IS 'nats, |Σ I|: divided by strength, ρ';
COMMENT ON COLUMN life_sums.loss IS 'nats, log(1 + exp(-(v_empty + Σ I))): cross-entropy of a network with these interactions alone; null at epoch -1';

CREATE TABLE life_epochs (run VARCHAR, epoch INTEGER, is_start BOOLEAN, ends_first_phase BOOLEAN, vectors BOOLEAN);
COMMENT ON TABLE life_epochs IS 'The recorded epochs over which the lives of interactions were followed.';
COMMENT ON COLUMN life_epochs.epoch IS 'recorded epoch';
COMMENT ON COLUMN life_epochs.is_start IS 'whether life_sums has it as start: all, or some of very many';
COMMENT ON COLUMN life_epochs.ends_first_phase IS 'boundary 1|2 as it was then: what is gone for good by it is withdrawn';
COMMENT ON COLUMN life_epochs.vectors IS 'whether all interactions were known; else one below τ counts as gone there';
