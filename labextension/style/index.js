import './base.css';
import './sidebar.css';
import './report.css';
import './milestones.css';
import './places.css';
