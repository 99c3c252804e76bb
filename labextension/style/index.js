import './base.css';
import './sidebar.css';
import './report.css';
import './triumph.css';
import './milestones.css';
import './places.css';
import './pad.css';
